"""Fixtures that all tests share."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest
from fake_cuda import FakeDriver
from fake_tensorrt import FakeCandidates, FakeLetterbox, FakeSuppression, FakeTensorrt
from tiny import write_tiny_bundle, write_tiny_model

from edge_sdk import cuda_driver
from edge_sdk.cuda_driver import Gpu

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of data, weights and clips beside the project, if there is one."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the folder {SHARED.name} beside the project")
    return SHARED


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float ONNX detector of a few random convolutions, with its head specification."""
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.onnx")


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A bundle of `tiny_model` for both CPU targets; copy it before changing it."""
    return write_tiny_bundle(tmp_path_factory.mktemp("tiny") / "tiny.edge", tiny_model)


@pytest.fixture(scope="session")
def trt() -> ModuleType:
    """TensorRT-RTX, which parses and builds without a GPU."""
    reason = "needs the package tensorrt-rtx: pip install 'edge-sdk[tensorrt-rtx]'"
    module: ModuleType = pytest.importorskip("tensorrt_rtx", reason=reason)
    return module


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDriver]:
    """A fake driver in the place of NVIDIA's; whatever a test makes there has to be given back."""
    from edge_sdk.runtime.backends import gpu_choice
    from edge_sdk.runtime.cuda import driver as driver_module

    fake = FakeDriver()
    found = [Gpu(0, "Fake T4", "sm75"), Gpu(1, "Fake A10", "sm76")]
    for module in (cuda_driver, driver_module, gpu_choice):
        monkeypatch.setattr(module, "gpus", lambda: found)
    monkeypatch.setattr(cuda_driver, "_library", fake.library)
    monkeypatch.setitem(sys.modules, "cuda.bindings.driver", fake)
    driver_module.driver.cache_clear()
    yield fake
    fake.failing.clear()
    gc.collect()
    driver_module.driver.cache_clear()
    assert fake.live == {}
    assert fake.primary == [0, 0]


@pytest.fixture
def fake_trt(cuda: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTensorrt]:
    """A fake TensorRT and fake kernels, over the fake driver."""
    from edge_sdk.runtime.backends import tensorrt_chain

    fake = FakeTensorrt(cuda)
    monkeypatch.setitem(sys.modules, "tensorrt", fake)
    for name, kernel in (
        ("CudaSuppression", FakeSuppression),
        ("CudaCandidates", FakeCandidates),
        ("CudaLetterbox", FakeLetterbox),
    ):
        monkeypatch.setattr(tensorrt_chain, name, partial(kernel, cuda))
    yield fake
    gc.collect()
    assert fake.contexts == 0
    assert FakeSuppression.live == 0
