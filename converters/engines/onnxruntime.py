"""ONNX Runtime: the lowered ONNX file itself, which it optimizes for the machine that loads it."""

from __future__ import annotations

from pathlib import Path

import onnx


def write_engine(lowered: onnx.ModelProto, folder: Path) -> Path:
    """Write model.onnx; see `edge_sdk.converters.engines`."""
    engine = folder / "model.onnx"
    onnx.save(lowered, engine)
    return engine
