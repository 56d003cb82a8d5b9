"""Calls of the CUDA driver, through NVIDIA's bindings (cuda-bindings), loaded at the first one.

Only the driver's interface is used, never the CUDA runtime library: a program built with the
driver's interface runs with whatever driver the device has, while the bindings of the runtime
library carry one version of it that older drivers (JetPack's, say) refuse.
"""

from __future__ import annotations

import importlib
from functools import cache
from types import ModuleType
from typing import Any

from edge_sdk.cuda_driver import extra_for_bindings, gpus
from edge_sdk.errors import EdgeError, MissingExtra

OLDEST = 12000
"""The oldest CUDA version that a driver may be for, as the driver writes it (12.0)."""

_OUT_OF_MEMORY = 2
_LOST = frozenset({4, 46, 201, 214, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 999})
"""Errors after which nothing works any more in this process."""


class CudaError(EdgeError):
    """A call of the CUDA driver failed.

    Attributes
    ----------
    call : its name.
    code : the driver's number for the error.
    """

    def __init__(self, call: str, code: int, name: str, advice: str) -> None:
        self.call = call
        self.code = code
        super().__init__(f"{call} failed ({name}): {advice}.")


def call(name: str, *arguments: Any) -> Any:
    """Call a function of the driver.

    Returns
    -------
    None, its one value, or a tuple of its values.

    Raises
    ------
    CudaError
        If the call fails.
    EdgeError
        If there is no driver, or it is too old.
    MissingExtra
        If the bindings are not installed.
    """
    bindings = driver()
    try:
        status, *values = getattr(bindings, name)(*arguments)
    except RuntimeError as error:  # the bindings' word for a function that the driver lacks
        raise EdgeError(f"The NVIDIA driver here has no {name}: install a newer one.") from error
    if int(status) != 0:
        raise _error(bindings, name, status)
    return tuple(values) if len(values) > 1 else values[0] if values else None


@cache
def driver() -> ModuleType:
    """Return the bindings, with the driver initialized.

    Raises
    ------
    EdgeError
        If there is no driver, or it is too old, for us or for the bindings.
    MissingExtra
        If the bindings are not installed.
    """
    gpus()  # asks the driver without the bindings, which may crash where there is none
    try:
        bindings = importlib.import_module("cuda.bindings.driver")
    except ImportError as error:
        extra = extra_for_bindings()
        raise MissingExtra("cuda-bindings", extra, "Running on an NVIDIA GPU") from error
    (status,) = bindings.cuInit(0)
    if int(status) != 0:
        raise _error(bindings, "cuInit", status)
    version = bindings.cuDriverGetVersion()[1]
    if version < OLDEST:
        raise EdgeError(
            f"The NVIDIA driver here is for CUDA {_words(version)}, and {_words(OLDEST)} is the "
            "oldest that will do: install a newer driver."
        )
    if version // 1000 < bindings.CUDA_VERSION // 1000:
        raise EdgeError(
            f"The NVIDIA driver here is for CUDA {_words(version)}, and the cuda-bindings here are "
            f"for {_words(bindings.CUDA_VERSION)}: pip install 'edge-sdk[{extra_for_bindings()}]', "
            "or install a newer driver."
        )
    return bindings


def driver_version() -> tuple[int, int]:
    """Return the CUDA version that the driver is for, (13, 0)."""
    version = int(call("cuDriverGetVersion"))
    return version // 1000, version % 1000 // 10


def _words(version: int) -> str:
    return f"{version // 1000}.{version % 1000 // 10}"


def _error(bindings: ModuleType, name: str, status: Any) -> CudaError:
    code = int(status)
    if code == _OUT_OF_MEMORY:
        advice = (
            "the GPU has too little free memory; end other programs that use it (nvidia-smi "
            "lists them), or take a smaller batch or fewer inferences at a time"
        )
    elif code in _LOST:
        advice = (
            "the GPU was lost to this program; start it again, and if that recurs look for Xid "
            "errors in the kernel's log (dmesg)"
        )
    else:
        advice = _text(bindings.cuGetErrorString(status))
    return CudaError(name, code, _text(bindings.cuGetErrorName(status)), advice)


def _text(answer: tuple[Any, Any]) -> str:
    """Return the bytes of an answer as text; the driver does not know every number."""
    return answer[1].decode(errors="replace") if answer[1] else "an unknown error"
