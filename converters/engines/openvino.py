"""OpenVINO: intermediate representation (model.xml, model.bin) beside the lowered ONNX file."""

from __future__ import annotations

from pathlib import Path

import onnx

from edge_sdk.errors import EdgeError, MissingExtra


def write_engine(lowered: onnx.ModelProto, folder: Path) -> Path:
    """Write lowered.onnx, model.xml and model.bin; see `edge_sdk.converters.engines`."""
    try:
        import openvino
    except ImportError as error:
        raise MissingExtra("openvino", "openvino", "Building for OpenVINO") from error
    source, engine = folder / "lowered.onnx", folder / "model.xml"
    onnx.save(lowered, source)
    try:
        model = openvino.Core().read_model(source)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise EdgeError(f"OpenVINO cannot read the lowered graph: {reason}") from error
    try:
        openvino.save_model(model, engine, compress_to_fp16=False)
    except RuntimeError as error:  # without the reason that the system gave
        raise EdgeError(f"OpenVINO cannot write {engine}: the disk may be full.") from error
    return engine
