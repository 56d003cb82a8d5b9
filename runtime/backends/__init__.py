"""One file an engine library, opened through one function."""

from __future__ import annotations

import importlib
import importlib.util
import platform
from pathlib import Path

from edge_sdk.errors import EdgeError, MissingExtra
from edge_sdk.head_spec import HeadSpec
from edge_sdk.runtime.backends.engine import Engine, Worker

__all__ = [
    "TARGETS", "Engine", "Worker", "choose_target", "installed", "on_gpu", "open_engine",
    "preferred_target",
]  # fmt: skip

TARGETS = ("openvino", "onnxruntime")
"""The targets that run on a CPU: each is named like its package, its extra and its module."""

GPU_TARGETS = ("tensorrt", "tensorrt-rtx")
"""Those that run on an NVIDIA GPU, named like the extra; both are served by one module."""


def open_engine(
    path: Path | str, target: str, spec: HeadSpec | None = None, threads: int | None = None,
    parallel: int | None = None, device: int = 0,
) -> Engine:  # fmt: skip
    """Load an engine.

    Parameters
    ----------
    path : an `.onnx` file (CPU targets), an OpenVINO `.xml`, or an `.engine` of a GPU target,
        which is executable code: open none of unknown origin.
    target : one of `TARGETS`, or a GPU target, "tensorrt" or "tensorrt-rtx:sm75".
    spec : the model's contract; None reads it from the metadata of an `.onnx` file.
    threads : that one inference may use; None leaves the choice to the library.
    parallel : inferences that are to run at the same time; None takes one on a CPU, two on a GPU.
    device : the GPU, as CUDA counts them.

    Raises
    ------
    EdgeError
        If the target is unknown, or the file cannot be loaded or does not match `spec`.
    MissingExtra
        If the target's package is not installed.
    """
    if target not in TARGETS and not on_gpu(target):
        raise EdgeError(
            f"Unknown target {target!r}: give one of {', '.join((*TARGETS, *GPU_TARGETS))}."
        )
    if not installed(target):
        library = target.partition(":")[0]
        raise MissingExtra(library, library, f"The target {target!r}")
    if threads is not None and threads < 1:
        raise EdgeError(f"threads is {threads}: give at least 1.")
    if parallel is not None and parallel < 1:
        raise EdgeError(f"parallel is {parallel}: give at least 1.")
    if not Path(path).is_file():
        raise EdgeError(f"There is no model at {path}.")
    if on_gpu(target):
        from edge_sdk.runtime.backends.tensorrt import open_engine as open_on_gpu

        return open_on_gpu(Path(path), target, spec, parallel or 2, device)
    if device:
        raise EdgeError(f"device {device} is a GPU, and {target} runs on the CPU: leave it out.")
    module = importlib.import_module(f"edge_sdk.runtime.backends.{target}")
    engine: Engine = module.open_engine(Path(path), spec, threads, parallel or 1)
    return engine


def on_gpu(target: str) -> bool:
    """Tell whether the engines of a target run on an NVIDIA GPU."""
    return target.partition(":")[0] in GPU_TARGETS


def installed(target: str) -> bool:
    """Tell whether the package of a target can be imported."""
    package = target.partition(":")[0].replace("-", "_")
    return importlib.util.find_spec(package) is not None


def choose_target(target: str | None, available: tuple[str, ...], device: int = 0) -> str:
    """Return which of a bundle's engines to run.

    A GPU that is here comes first, then `preferred_target`. Of TensorRT-RTX's engines, each for
    one kind of GPU, the one for this GPU is taken.

    Parameters
    ----------
    target : what was asked for; None for the best, "tensorrt-rtx" for any of this GPU's kind.
    available : the targets that the bundle has engines for.
    device : the GPU, as CUDA counts them.

    Raises
    ------
    EdgeError
        If the bundle has nothing for this GPU, or nothing runs here.
    MissingExtra
        If something would run here, but its package is not installed.
    """
    if target is None:
        if any(on_gpu(name) for name in available):
            from edge_sdk.runtime.backends.gpu_choice import best_on_gpu

            found = best_on_gpu(tuple(filter(installed, available)), device)
            if found is not None:
                return found
        return preferred_target(available)
    if on_gpu(target):
        from edge_sdk.runtime.backends.gpu_choice import engine_for_gpu

        return engine_for_gpu(target, available, device)
    return target


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
            f"{', '.join(order)} run on its CPU. Build one of those."
        )
    for target in runnable:
        if installed(target):
            return target
    raise MissingExtra(runnable[0], runnable[0], "Running a detector here")
