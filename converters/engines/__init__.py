"""One file a target: a lowered graph in, an engine on disk out.

An engine builder is a function `write_engine(lowered, folder)` that writes into an existing
folder and returns the file to open. Those of targets with a variant take it as third argument.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import onnx

from edge_sdk.converters.target import Target


def write_engine(target: str, lowered: onnx.ModelProto, folder: Path) -> Path:
    """Write the engine of a target into a folder and return the file to open.

    Raises
    ------
    EdgeError
        If there is no such target, or the engine library refuses the graph.
    MissingExtra
        If the target's package is not installed.
    """
    parsed = Target.parse(target)
    module = importlib.import_module(f"edge_sdk.converters.engines.{parsed.builder}")
    variant = (parsed.variant,) if parsed.variant else ()
    path: Path = module.write_engine(lowered, folder, *variant)
    return path
