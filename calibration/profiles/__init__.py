"""One file an engine library: which kernels it runs for one inference, and how long each takes."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import NamedTuple

from edge_sdk import cuda_driver
from edge_sdk.errors import EdgeError, MissingExtra
from edge_sdk.head_spec import HeadSpec
from edge_sdk.runtime.backends import installed

PROFILED = ("openvino", "onnxruntime", "tensorrt")
"""The targets whose engines tell the time of each kernel; TensorRT-RTX's are one kernel."""


class Kernel(NamedTuple):
    """One step of an engine.

    Attributes
    ----------
    labels : what the engine calls it, and the names of the graph's nodes that it does the work of.
    ms : the least of its times, in milliseconds. A kernel takes a tenth of one, and other work on
        the machine interrupts it for many, so that its median says more of that work. On a GPU,
        where nothing else runs, it is the median.
    """

    labels: tuple[str, ...]
    ms: float


def check(target: str) -> None:
    """Raise EdgeError if the engines of a target cannot be profiled on this machine."""
    if target.startswith("tensorrt-rtx"):
        raise EdgeError(
            f"Engines for {target!r} cannot be profiled, since TensorRT-RTX tells no times of its "
            "layers: leave the search's limits out, or search for tensorrt:remote with --latency "
            "and a table of `edge-sdk profile --target tensorrt` on the device."
        )
    if target not in PROFILED:
        raise EdgeError(
            f"Engines for {target!r} cannot be profiled here, only those for "
            f"{', '.join(PROFILED)}: run `edge-sdk profile MODEL --calib CALIB --target tensorrt "
            "-o times.json` on the device, and give --latency times.json here."
        )
    if target == "tensorrt":
        cuda_driver.first_gpu()


def profile(
    engine: Path, target: str, spec: HeadSpec, *, threads: int | None = None, repetitions: int = 20
) -> list[Kernel]:
    """Run an engine with its own profiler and return its kernels in the order of their execution.

    Parameters
    ----------
    engine : the file that the target's engine builder wrote.
    target : one of `PROFILED`.
    spec : the model's contract.
    threads : that one inference may use; None leaves the choice to the library.
    repetitions : runs that are counted, after a few that are not.

    Raises
    ------
    EdgeError
        If the target cannot be profiled here.
    MissingExtra
        If its package is not installed.
    """
    check(target)
    if not installed(target):
        raise MissingExtra(target, target, f"The target {target!r}")
    module = importlib.import_module(f"edge_sdk.calibration.profiles.{target}")
    kernels: list[Kernel] = module.profile(engine, spec, threads, repetitions)
    return kernels
