import pytest

from edge_sdk import cuda_driver
from edge_sdk.cuda_driver import Gpu, first_gpu, gpus
from edge_sdk.errors import EdgeError


def test_a_machine_without_a_driver_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_driver, "_NAME", "libcuda-none.so.1")
    with pytest.raises(EdgeError, match=r"There is no NVIDIA driver here .*tensorrt:remote"):
        gpus()


def test_a_driver_without_a_gpu_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_driver, "gpus", list)
    with pytest.raises(EdgeError, match="sees no GPU"):
        first_gpu()


def test_a_driver_that_fails_names_the_call() -> None:
    """A library with the same interface that always fails."""

    class Failing:
        def cuInit(self, flags: int) -> int:
            return 35

    with pytest.raises(EdgeError, match="cuInit returned error 35"):
        cuda_driver._call(Failing(), "cuInit", 0)  # type: ignore[arg-type]


def test_a_gpu_is_described() -> None:
    """Needs a GPU: says what it is."""
    try:
        found = gpus()
    except EdgeError as error:
        pytest.skip(str(error))
    assert all(isinstance(gpu, Gpu) and gpu.capability.startswith("sm") for gpu in found)
