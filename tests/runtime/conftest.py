"""Fixtures of the tests that run a detector."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from fake_cuda import FakeDriver
from fake_tensorrt import FakeCandidates, FakeLetterbox, FakeSuppression, FakeTensorrt

from edge_sdk.cuda_driver import Gpu
from edge_sdk.runtime import Detector
from edge_sdk.runtime.backends import gpu_choice
from edge_sdk.runtime.cuda import driver as driver_module


@pytest.fixture(scope="package")
def detector(tiny_bundle: Path) -> Iterator[Detector]:
    """The tiny detector, on one thread."""
    with Detector(tiny_bundle, threads=1) as detector:
        yield detector


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDriver]:
    """A fake driver in the place of NVIDIA's; whatever a test makes there has to be given back."""
    fake = FakeDriver()
    found = [Gpu(0, "Fake T4", "sm75"), Gpu(1, "Fake A10", "sm76")]
    for module in (driver_module, gpu_choice):
        monkeypatch.setattr(module, "gpus", lambda: found)
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
