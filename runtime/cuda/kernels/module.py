"""One `.cu` file, loaded into the current CUDA context."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge_sdk.runtime.cuda.compiler import compiled
from edge_sdk.runtime.cuda.driver import call, driver

_FOLDER = Path(__file__).parent


class Module:
    """The kernels of one file. The context must be current in every call.

    Parameters
    ----------
    name : of the file, without its suffix.

    Raises
    ------
    EdgeError
        If the file cannot be compiled or loaded.
    """

    def __init__(self, name: str) -> None:
        image = np.frombuffer(compiled(_FOLDER / f"{name}.cu", _capability()) + b"\0", np.uint8)
        self._module: Any = call("cuModuleLoadData", image.ctypes.data)
        self._functions: dict[str, Any] = {}

    def launch(
        self,
        name: str,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Sequence[Any],
        stream: int,
    ) -> None:
        """Put a kernel into a stream.

        Parameters
        ----------
        name : of the kernel.
        grid, block : numbers of blocks, and of threads a block.
        arguments : numpy scalars or arrays whose bytes are the kernel's arguments; they are
            copied at once.
        stream : its handle.
        """
        function = self._functions.get(name)
        if function is None:
            function = call("cuModuleGetFunction", self._module, name.encode())
            self._functions[name] = function
        held = [np.asarray(argument) for argument in arguments]
        addresses = np.array([argument.ctypes.data for argument in held], np.uint64)
        call(
            "cuLaunchKernel", function, grid[0], grid[1], grid[2], block[0], block[1], block[2], 0,
            stream, addresses.ctypes.data, 0,
        )  # fmt: skip

    def close(self) -> None:
        """Unload the file."""
        module, self._module = self._module, None
        self._functions.clear()
        if module is not None:
            call("cuModuleUnload", module)


def _capability() -> str:
    """Return the compute capability of the current context's GPU, "sm75"."""
    kinds = driver().CUdevice_attribute
    device = call("cuCtxGetDevice")
    major = call("cuDeviceGetAttribute", kinds.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device)
    minor = call("cuDeviceGetAttribute", kinds.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device)
    return f"sm{major}{minor}"
