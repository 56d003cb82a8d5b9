"""The conditions that a figure was measured under, printed with every figure."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("numpy", "opencv", "onnxruntime", "openvino", "torch")
_DISTRIBUTIONS = {
    "opencv": (
        "opencv-python-headless", "opencv-python", "opencv-contrib-python",
        "opencv-contrib-python-headless",
    ),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino"),
    "tensorrt": ("tensorrt", "tensorrt-cu12", "tensorrt-cu13"),
    "tensorrt-rtx": ("tensorrt-rtx", "tensorrt-rtx-cu12", "tensorrt-rtx-cu13"),
}  # fmt: skip


def conditions(threads: int | None = None) -> dict[str, Any]:
    """Return the machine, the versions of what runs on it, and the time, as plain values.

    Parameters
    ----------
    threads : the number of threads that the measured work was given; without it, what
        OMP_NUM_THREADS says, else the number of cores.
    """
    cores = usable_cores()
    versions = {name: version_of(name) for name in PACKAGES}
    return {
        "cpu": cpu_model(),
        "cores": cores,
        "threads": threads or _openmp_threads() or cores,
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: found for name, found in versions.items() if found},
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
    }


def cpu_model() -> str:
    """Return the processor's own name for itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Hardware", "Model") and value.strip():
            return value.strip()
    return platform.processor() or platform.machine()


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _openmp_threads() -> int | None:
    value = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return int(value) if value.isdigit() else None


def version_of(name: str) -> str | None:
    """Return the installed version of a package, under any of its distributions, unimported."""
    for distribution in _names(name):
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return None


def _names(name: str) -> Iterable[str]:
    return _DISTRIBUTIONS.get(name, (name,))
