"""Which of a bundle's engines this GPU can run."""

from __future__ import annotations

from edge_sdk.cuda_driver import Gpu, gpus
from edge_sdk.errors import EdgeError

_REMOTE = "tensorrt:remote"


def best_on_gpu(available: tuple[str, ...], device: int) -> str | None:
    """Return the best of the installed targets for the GPU that is here, None if there is none."""
    try:
        found = gpus()
    except EdgeError:
        return None
    if not 0 <= device < len(found):
        return None
    order = ("tensorrt", f"tensorrt-rtx:{found[device].capability}")
    return next((name for name in order if name in available), None)


def engine_for_gpu(target: str, available: tuple[str, ...], device: int) -> str:
    """Return the engine to run where a GPU target was asked for.

    Raises
    ------
    EdgeError
        If the bundle holds none for this GPU, or there is no GPU.
    """
    if target in ("tensorrt", _REMOTE) and "tensorrt" in available:
        return "tensorrt"
    if target in ("tensorrt", _REMOTE) and _REMOTE in available:
        raise EdgeError(
            "The bundle holds the graph for TensorRT, and no engine yet: run 'edge-sdk compile "
            "BUNDLE --target tensorrt' on this device."
        )
    if target == "tensorrt-rtx":
        return _of_this_kind(available, _gpu(device))
    return target


def _of_this_kind(available: tuple[str, ...], gpu: Gpu) -> str:
    wanted = f"tensorrt-rtx:{gpu.capability}"
    if wanted not in available:
        kinds = [name for name in available if name.startswith("tensorrt-rtx:")]
        raise EdgeError(
            f"The bundle has no engine for this GPU ({gpu.name}, {gpu.capability}), only for "
            f"{', '.join(kinds or available) or 'no target at all'}: rebuild with "
            f"--target {wanted}."
        )
    return wanted


def _gpu(device: int) -> Gpu:
    found = gpus()
    if not 0 <= device < len(found):
        raise EdgeError(f"There is no GPU {device}: the driver sees {len(found)}, from 0.")
    return found[device]
