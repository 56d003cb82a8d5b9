"""TensorRT: an engine for the GPU of this machine, or all that a device elsewhere needs."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import onnx

from edge_sdk.converters.engines.tensorrt_builder import BuildOptions
from edge_sdk.converters.engines.tensorrt_files import write_files, write_remote
from edge_sdk.converters.target import REMOTE
from edge_sdk.cuda_driver import first_gpu
from edge_sdk.errors import MissingExtra
from edge_sdk.progress import Progress, silent


def write_engine(
    lowered: onnx.ModelProto,
    folder: Path,
    variant: str = "",
    options: BuildOptions | None = None,
    progress: Progress = silent,
) -> Path:
    """Write what `tensorrt_files` lists, for this machine's GPU or for a device elsewhere."""
    if variant == REMOTE:
        return write_remote(lowered, folder)
    gpu = first_gpu()
    device = f"{gpu.name.lower().replace(' ', '-')}-{gpu.capability}"
    return write_files(library(), lowered, folder, device, "", options, progress)


def library() -> ModuleType:
    """Return the library.

    Raises
    ------
    MissingExtra
        If it is not installed.
    """
    try:
        import tensorrt
    except (ImportError, OSError) as error:
        raise MissingExtra("tensorrt", "tensorrt", "Building for TensorRT") from error
    module: ModuleType = tensorrt
    return module
