"""One file a target: the float graph, the table and the layers in, a typed Q/DQ graph out.

A lowering is a pure function `lower(model, table, layers, seven_bit_weights=...)`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from edge_sdk.errors import EdgeError

TARGETS = ("openvino", "onnxruntime")


def lowering(target: str) -> Callable[..., Any]:
    """Return the lowering of a target.

    Raises
    ------
    EdgeError
        If there is no such target.
    """
    if target not in TARGETS:
        raise EdgeError(f"There is no target {target!r}: choose one of {', '.join(TARGETS)}.")
    module = importlib.import_module(f"edge_sdk.converters.lowering.{target}")
    lower: Callable[..., Any] = module.lower
    return lower
