"""The GPU benchmark's parts for the kernels; no GPU is needed, and no figure of it is checked."""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import emulated_cuda
import pytest
from fake_cuda import CUresult, FakeDriver

from edge_sdk.cuda_driver import gpus
from edge_sdk.errors import EdgeError
from edge_sdk.head_spec import Preprocessing
from edge_sdk.runtime.cuda.kernels import candidates, letterbox, suppression

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks" / "gpu"


@pytest.fixture
def speed(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(FOLDER))
    import kernel_speed

    yield kernel_speed
    sys.modules.pop("kernel_speed")


def test_only_the_sectors_that_hold_samples_count(speed: ModuleType) -> None:
    """Every second sample of every second row would be rounding; here it is plain arithmetic."""
    wants = Preprocessing()
    assert speed.touched_bytes(wants, (64, 64), (64, 64), "bgr") == 64 * 64 * 3
    assert speed.touched_bytes(wants, (64, 64), (192, 192), "bgr") == 64 * 192 * 3
    assert speed.touched_bytes(wants, (64, 64), (128, 128), "nv12") == 128 * 128 * 3 // 2
    assert speed.touched_bytes(wants, (64, 64), (192, 192), "nv12") == 64 * 192 * 2
    assert speed.touched_bytes(wants, (64, 64), (64 * 99, 64 * 99), "yuyv") == 64 * 64 * 32


def test_the_measurement_runs_through(
    speed: ModuleType, cuda: FakeDriver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Over a fake driver, the kernels on the host; times are the host's and mean nothing."""
    if not emulated_cuda.have_compiler():
        pytest.skip("needs the compiler g++")

    def copy(target: int, source: int, size: int, *stream: int) -> tuple[CUresult]:
        ctypes.memmove(target, source, size)
        return (CUresult.CUDA_SUCCESS,)

    def fill(target: int, value: int, size: int) -> tuple[CUresult]:
        ctypes.memset(target, value, size)
        return (CUresult.CUDA_SUCCESS,)

    for name, function in {
        "cuMemcpyHtoD": copy, "cuMemcpyDtoDAsync": copy, "cuMemsetD8": fill,
    }.items():  # fmt: skip
        monkeypatch.setattr(cuda, name, function, raising=False)
    for place in (candidates, letterbox, suppression):
        module = functools.partial(emulated_cuda.EmulatedModule, folder=tmp_path)
        monkeypatch.setattr(place, "Module", module)
    for name, value in {
        "INPUT": (64, 64), "BATCH": 2, "MEMORY": 1, "LAUNCHES": 1, "ROUNDS": 1, "COPIED": 1 << 10,
        "settle": lambda work: work(),
        "CASES": [("bgr", (80, 96), "uint8"), ("nv12", (40, 64), "float16")],
    }.items():  # fmt: skip
        monkeypatch.setattr(speed, name, value)
    result = speed.run()
    assert len(result["rows"]) == 4
    assert "goal 70%" in result["remarks"][1]
    assert cuda.live == {}


def test_without_a_gpu_the_checks_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        gpus()
    except EdgeError:
        pass
    else:
        pytest.skip("there is a driver here")
    monkeypatch.syspath_prepend(str(FOLDER))
    import kernels

    monkeypatch.setattr(kernels, "TESTS", kernels.TESTS / "test_postprocess_kernels.py")
    with pytest.raises(EdgeError, match=r"none of the kernels' tests ran: .*needs a GPU"):
        kernels.run()
    sys.modules.pop("kernels")
