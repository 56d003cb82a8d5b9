"""Memory of the GPU, and of the host where the GPU can reach it. A context must be current."""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sdk.runtime.cuda.driver import call
from edge_sdk.runtime.cuda.stream import Stream

_MAPPED = 0x02  # CU_MEMHOSTALLOC_DEVICEMAP


class DeviceBuffer:
    """Bytes on the GPU.

    Attributes
    ----------
    address : of the first byte; aligned to 256.
    nbytes : how many.
    """

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes
        self.address = int(call("cuMemAlloc", max(nbytes, 1)))

    def close(self) -> None:
        """Free the memory."""
        address, self.address = self.address, 0
        if address:
            call("cuMemFree", address)


class HostBuffer:
    """An array of the host that the GPU copies from and to by itself (pinned).

    Attributes
    ----------
    array : the memory, C-contiguous; not to be used after `close`.
    """

    def __init__(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        kind = np.dtype(dtype)
        size = max(math.prod(shape) * kind.itemsize, 1)
        self._address = int(call("cuMemHostAlloc", size, _MAPPED))
        memory = (ctypes.c_ubyte * size).from_address(self._address)
        flat = np.frombuffer(memoryview(memory), kind, math.prod(shape))
        self.array: npt.NDArray[Any] = flat.reshape(shape)
        self.array[...] = 0

    @property
    def address(self) -> int:
        """Where the host sees it."""
        return self._address

    def mapped(self) -> int:
        """Return the address at which the GPU sees it."""
        return int(call("cuMemHostGetDevicePointer", self._address, 0))

    def close(self) -> None:
        """Free the memory."""
        address, self._address = self._address, 0
        if address:
            call("cuMemFreeHost", address)


class PairedBuffer:
    """An array of the host and its twin on the GPU.

    On an integrated GPU both are one memory, and nothing is copied.

    Attributes
    ----------
    array : the host's side.
    address : the GPU's side.
    """

    def __init__(self, shape: tuple[int, ...], dtype: npt.DTypeLike, integrated: bool) -> None:
        self._host = HostBuffer(shape, dtype)
        self.array = self._host.array
        try:
            self._device = None if integrated else DeviceBuffer(self.array.nbytes)
            self.address = self._device.address if self._device else self._host.mapped()
        except BaseException:
            self._host.close()
            raise

    def upload(self, stream: Stream) -> None:
        """Let the GPU copy the host's side, when the stream comes to it."""
        if self._device is not None and self.array.nbytes:
            source, size = self._host.address, self.array.nbytes
            call("cuMemcpyHtoDAsync", self.address, source, size, stream.handle)

    def download(self, stream: Stream) -> None:
        """Let the GPU copy its side to the host; valid once the stream is through."""
        if self._device is not None and self.array.nbytes:
            target, size = self._host.address, self.array.nbytes
            call("cuMemcpyDtoHAsync", target, self.address, size, stream.handle)

    def close(self) -> None:
        """Free both sides."""
        if self._device is not None:
            self._device.close()
        self._host.close()
