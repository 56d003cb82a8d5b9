"""A GPU that calls go to: the caller's own CUDA context, or the one that all libraries share."""

from __future__ import annotations

import weakref
from contextlib import suppress
from types import TracebackType
from typing import Any

from edge_sdk.errors import EdgeError
from edge_sdk.runtime.cuda.driver import call, driver


class Context:
    """A CUDA context, which any thread makes current for as long as it needs it.

    The primary one is let go when nobody refers to this object any more.

    Where the thread that opens it has a current context of the device (an application with
    pycuda, torch or CUDA of its own), that one is used: memory and streams of the application can
    then be given as they are. Elsewhere it is the device's primary context, which torch and
    TensorRT use too.

    Attributes
    ----------
    device : index of the GPU, as CUDA counts.
    capability : "sm75".
    integrated : the GPU shares the processor's memory, as on a Jetson.
    borrowed : the context belongs to the caller, and must outlive this object.
    """

    def __init__(self, handle: Any, number: Any, device: int, borrowed: bool) -> None:
        self._handle = handle
        self._number = number
        self.device = device
        self.borrowed = borrowed
        major, minor = (self._attribute(f"COMPUTE_CAPABILITY_{end}") for end in ("MAJOR", "MINOR"))
        self.capability = f"sm{major}{minor}"
        self.integrated = bool(self._attribute("INTEGRATED"))
        self._end = None if borrowed else weakref.finalize(self, _release, number)

    @classmethod
    def open(cls, device: int = 0) -> Context:
        """Return the context of a GPU.

        Raises
        ------
        EdgeError
            If there is no driver, or no such GPU.
        """
        count = call("cuDeviceGetCount")
        if not 0 <= device < count:
            raise EdgeError(
                f"There is no GPU {device}: CUDA sees {count}, counted from 0 (nvidia-smi -L lists "
                "them; CUDA_VISIBLE_DEVICES hides some)."
            )
        number = call("cuDeviceGet", device)
        current = call("cuCtxGetCurrent")
        if int(current) and int(call("cuCtxGetDevice")) == int(number):
            return cls(current, number, device, borrowed=True)
        return cls(call("cuDevicePrimaryCtxRetain", number), number, device, borrowed=False)

    def _attribute(self, name: str) -> int:
        attribute = getattr(driver().CUdevice_attribute, f"CU_DEVICE_ATTRIBUTE_{name}")
        return int(call("cuDeviceGetAttribute", attribute, self._number))

    @property
    def handle(self) -> int:
        """The driver's CUcontext."""
        return int(self._handle)

    def free_memory(self) -> tuple[int, int]:
        """Return the bytes that are free, and all there are."""
        with self:
            free, total = call("cuMemGetInfo")
        return int(free), int(total)

    def __enter__(self) -> Context:
        call("cuCtxPushCurrent", self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        call("cuCtxPopCurrent")

    def close(self) -> None:
        """Let go of it; a borrowed one stays as it was."""
        if self._end is not None:
            self._end()


def _release(number: Any) -> None:
    with suppress(EdgeError):  # a GPU that is lost has no context left
        call("cuDevicePrimaryCtxRelease", number)
