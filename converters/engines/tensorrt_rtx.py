"""TensorRT for RTX: an engine for GPUs of one compute capability, built without having one."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import onnx

from edge_sdk.converters.engines.tensorrt_builder import BuildOptions
from edge_sdk.converters.engines.tensorrt_files import write_files
from edge_sdk.errors import MissingExtra
from edge_sdk.progress import Progress, silent


def write_engine(
    lowered: onnx.ModelProto,
    folder: Path,
    capability: str,
    options: BuildOptions | None = None,
    progress: Progress = silent,
) -> Path:
    """Write what `tensorrt_files` lists, for a compute capability such as "sm75"."""
    return write_files(library(), lowered, folder, capability, capability, options, progress)


def library() -> ModuleType:
    """Return the library.

    Raises
    ------
    MissingExtra
        If it is not installed.
    """
    try:
        import tensorrt_rtx
    except (ImportError, OSError) as error:
        raise MissingExtra("tensorrt-rtx", "tensorrt-rtx", "Building for TensorRT-RTX") from error
    module: ModuleType = tensorrt_rtx
    return module
