"""Which NVIDIA GPUs this machine has, asked of the driver alone.

NVIDIA's libraries crash or hand out null objects where there is no driver. So the driver is
asked first, through its C interface, which needs no package.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

from edge_sdk.errors import EdgeError

_NAME = "libcuda.so.1"
_MAJOR, _MINOR = 75, 76  # attributes of a device: its compute capability


@dataclass(frozen=True)
class Gpu:
    """A GPU.

    Attributes
    ----------
    index : as CUDA counts them.
    name : "Tesla T4".
    capability : its compute capability, "sm75".
    """

    index: int
    name: str
    capability: str


def gpus() -> list[Gpu]:
    """Return the GPUs of this machine.

    Raises
    ------
    EdgeError
        If there is no driver, or it does not start.
    """
    driver = _library()
    _call(driver, "cuInit", 0)
    count = ctypes.c_int()
    _call(driver, "cuDeviceGetCount", ctypes.byref(count))
    return [_gpu(driver, index) for index in range(count.value)]


def first_gpu() -> Gpu:
    """Return the first GPU.

    Raises
    ------
    EdgeError
        If there is none, or no driver.
    """
    found = gpus()
    if not found:
        raise EdgeError("The NVIDIA driver sees no GPU: check CUDA_VISIBLE_DEVICES and nvidia-smi.")
    return found[0]


def extra_for_bindings() -> str:
    """Return which extra of ours brings bindings and a compiler for this driver.

    Raises
    ------
    EdgeError
        If there is no driver, or it does not tell its version.
    """
    version = ctypes.c_int()
    _call(_library(), "cuDriverGetVersion", ctypes.byref(version))
    return "cuda" if version.value >= 13000 else "cuda12"


def _library() -> ctypes.CDLL:
    try:
        return ctypes.CDLL(_NAME)
    except OSError as error:
        raise EdgeError(
            f"There is no NVIDIA driver here ({_NAME} cannot be loaded): install it, or build "
            "for tensorrt:remote or tensorrt-rtx:smNN, which need none."
        ) from error


def _gpu(driver: ctypes.CDLL, index: int) -> Gpu:
    device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    name = ctypes.create_string_buffer(256)
    _call(driver, "cuDeviceGet", ctypes.byref(device), index)
    _call(driver, "cuDeviceGetName", name, len(name), device)
    for value, attribute in ((major, _MAJOR), (minor, _MINOR)):
        _call(driver, "cuDeviceGetAttribute", ctypes.byref(value), attribute, device)
    return Gpu(index, name.value.decode(errors="replace"), f"sm{major.value}{minor.value}")


def _call(driver: ctypes.CDLL, function: str, *arguments: object) -> None:
    status = getattr(driver, function)(*arguments)
    if status != 0:
        raise EdgeError(
            f"The NVIDIA driver does not work ({function} returned error {status}): try nvidia-smi."
        )
