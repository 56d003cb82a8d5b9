"""Where the tests of the CUDA kernels run them: on the host, or on a GPU where there is one."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emulated_cuda import EmulatedModule

from edge_sdk.runtime.cuda.driver import call
from edge_sdk.runtime.cuda.kernels import candidates, letterbox, suppression
from edge_sdk.runtime.cuda.memory import DeviceBuffer


class Host:
    """The host in place of a GPU: memory is its own, and kernels are emulated."""

    orders = (0, 1, 2, 3)
    """Orders in which the threads of a block can be made to run (see `EmulatedModule`)."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._arrays: dict[int, np.ndarray] = {}
        module = functools.partial(EmulatedModule, folder=folder)
        for place in (candidates, letterbox, suppression):
            monkeypatch.setattr(place, "Module", module)
        monkeypatch.setattr(candidates, "DeviceBuffer", self._buffer)
        monkeypatch.setattr(candidates, "call", lambda *arguments: None)

    def put(self, array: np.ndarray) -> int:
        """Copy an array to the machine; return its address there, a multiple of 16."""
        memory = np.zeros(array.nbytes + 16, np.uint8)
        start = -memory.ctypes.data % 16
        copy = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
        copy[...] = array
        self._arrays[copy.ctypes.data] = copy
        return copy.ctypes.data

    def take(self, address: int) -> np.ndarray:
        """Return what has become of an array."""
        return self._arrays[address]

    def _buffer(self, nbytes: int) -> Any:
        return _Buffer(self.put(np.zeros(nbytes, np.uint8)), nbytes)

    def order(self, order: int, *modules: Any) -> None:
        """Let the threads of modules run in an order."""
        for module in modules:
            module.order = order


class _Buffer:
    def __init__(self, address: int, nbytes: int) -> None:
        self.address, self.nbytes = address, nbytes

    def close(self) -> None:
        pass


class Gpu:
    """The first GPU, whose context must be current."""

    orders = (0,)

    def __init__(self) -> None:
        self._held: dict[int, tuple[DeviceBuffer, np.ndarray]] = {}

    def put(self, array: np.ndarray) -> int:
        array = np.ascontiguousarray(array)
        buffer = DeviceBuffer(array.nbytes)
        call("cuMemcpyHtoD", buffer.address, array.ctypes.data, array.nbytes)
        self._held[buffer.address] = buffer, array.copy()
        return buffer.address

    def take(self, address: int) -> np.ndarray:
        buffer, array = self._held[address]
        call("cuCtxSynchronize")
        call("cuMemcpyDtoH", array.ctypes.data, buffer.address, array.nbytes)
        return array

    def order(self, order: int, *modules: Any) -> None:
        """Threads of a GPU run as they do."""

    def close(self) -> None:
        for buffer, _ in self._held.values():
            buffer.close()


Machine = Host | Gpu
