"""The kernels' classes with the kernels run on the host."""

from __future__ import annotations

import functools
from pathlib import Path

import emulated_cuda
import numpy as np
import pytest

from edge_sdk.runtime.cuda.kernels import candidates, letterbox, suppression


class HostBuffer:
    """In place of memory on a GPU: an array on the host."""

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes
        self.array = np.zeros(nbytes // 8 + 1, np.uint64)
        self.address = self.array.ctypes.data

    def close(self) -> None:
        pass


@pytest.fixture(scope="session")
def compiled_kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the kernels compiled for the host, each when it is first used."""
    if not emulated_cuda.have_compiler():
        pytest.skip("needs the compiler g++")
    return tmp_path_factory.mktemp("kernels")


@pytest.fixture
def emulated(compiled_kernels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the classes in front of the kernels take the host for the GPU."""
    module = functools.partial(emulated_cuda.EmulatedModule, folder=compiled_kernels)
    for place in (candidates, letterbox, suppression):
        monkeypatch.setattr(place, "Module", module)
    monkeypatch.setattr(candidates, "DeviceBuffer", HostBuffer)
    monkeypatch.setattr(candidates, "call", lambda *arguments: None)
