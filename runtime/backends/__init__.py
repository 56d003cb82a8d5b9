"""One file an engine library, opened through one function."""

from __future__ import annotations

import importlib
import importlib.util
import platform
from pathlib import Path

from edge_sdk.errors import EdgeError, MissingExtra
from edge_sdk.head_spec import HeadSpec
from edge_sdk.runtime.backends.engine import Engine, Worker

__all__ = ["TARGETS", "Engine", "Worker", "installed", "open_engine", "preferred_target"]

TARGETS = ("openvino", "onnxruntime")
"""The targets that run here: each is named like its package, its extra and its module."""


def open_engine(
    path: Path | str, target: str, spec: HeadSpec | None = None, threads: int | None = None,
    parallel: int = 1,
) -> Engine:  # fmt: skip
    """Load an engine.

    Parameters
    ----------
    path : an `.onnx` file (both targets) or an OpenVINO `.xml`.
    target : one of `TARGETS`.
    spec : the model's contract; None reads it from the metadata of an `.onnx` file.
    threads : that one inference may use; None leaves the choice to the library.
    parallel : inferences that are to run at the same time.

    Raises
    ------
    EdgeError
        If the target is unknown, or the file cannot be loaded or does not match `spec`.
    MissingExtra
        If the target's package is not installed.
    """
    if target not in TARGETS:
        raise EdgeError(f"Unknown target {target!r}: give one of {', '.join(TARGETS)}.")
    if not installed(target):
        raise MissingExtra(target, target, f"The target {target!r}")
    if threads is not None and threads < 1:
        raise EdgeError(f"threads is {threads}: give at least 1.")
    if parallel < 1:
        raise EdgeError(f"parallel is {parallel}: give at least 1.")
    if not Path(path).is_file():
        raise EdgeError(f"There is no model at {path}.")
    module = importlib.import_module(f"edge_sdk.runtime.backends.{target}")
    engine: Engine = module.open_engine(Path(path), spec, threads, parallel)
    return engine


def installed(target: str) -> bool:
    """Tell whether the package of a target can be imported."""
    return importlib.util.find_spec(target) is not None


def preferred_target(available: tuple[str, ...] = TARGETS) -> str:
    """Return the best installed target among `available`.

    Raises
    ------
    EdgeError
        If none of them runs here.
    MissingExtra
        If one would, but its package is not installed.
    """
    order = TARGETS if platform.machine().lower() in ("x86_64", "amd64") else TARGETS[::-1]
    runnable = [target for target in order if target in available]
    if not runnable:
        raise EdgeError(
            f"No engine for this machine: the bundle has {', '.join(available) or 'none'}, and "
            f"{', '.join(order)} run here. Build one of those."
        )
    for target in runnable:
        if installed(target):
            return target
    raise MissingExtra(runnable[0], runnable[0], "Running a detector here")
