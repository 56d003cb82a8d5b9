"""One file a target: the float graph, the table and the layers in, a typed Q/DQ graph out.

A lowering is a pure function `lower(model, table, layers, seven_bit_weights=...)`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from edge_sdk.converters.target import Target

if TYPE_CHECKING:
    import onnx

    from edge_sdk.converters.quantization_points import QuantizationPoints
    from edge_sdk.quantization_table import QuantizationTable


def lowering(target: str) -> Callable[..., Any]:
    """Return the lowering of a target.

    Raises
    ------
    EdgeError
        If there is no such target.
    """
    lower: Callable[..., Any] = _module(target).lower
    return lower


def form(target: str) -> Callable[..., Any]:
    """Return what makes the grids of a target, `form(model, table, seven_bit_weights=...)`.

    The lowering writes them into a graph.

    Raises
    ------
    EdgeError
        If there is no such target.
    """
    made: Callable[..., Any] = _module(target).form
    return made


def grid(target: str) -> str:
    """Return how bundles report the grid of a target's activations."""
    text: str = _module(target).GRID
    return text


def grid_steps(target: str, points: QuantizationPoints) -> dict[str, int]:
    """Return how many steps a target's grid has, by tensor, between zero and the end of its range.

    Raises
    ------
    EdgeError
        If there is no such target.
    """
    steps: Callable[[float], int] = _module(target).grid_steps
    return {name: steps(lower_bound) for name, lower_bound in points.lower_bounds.items()}


def float_by_default(target: str, model: onnx.ModelProto) -> dict[str, str]:
    """Return the layers that a plan without a search keeps float on a target, with the reason."""
    known = getattr(_module(target), "float_by_default", None)
    return {} if known is None else dict(known(model))


def channel_ranges(
    target: str, model: onnx.ModelProto, table: QuantizationTable, layers: frozenset[str]
) -> int:
    """Return how many tensors INT8 layers read with a range for each channel on a target."""
    from edge_sdk.converters.graph_index import GraphIndex

    quantization = form(target)(model, table).quantization(layers)
    index = GraphIndex(model.graph)
    return sum(
        bool(made.channels) and quantization.is_quantized(name, index)
        for name, made in quantization.activations.items()
    )


def simulation(target: str) -> tuple[Callable[..., Any], str]:
    """Return what lowers a graph so that it runs here with the target's integers, and where.

    For targets of the CPU that is their lowering. For a GPU it is the same graph with float32
    in place of float16, for ONNX Runtime.

    Raises
    ------
    EdgeError
        If there is no such target.
    """
    if Target.parse(target).on_cpu:
        return lowering(target), target
    simulate: Callable[..., Any] = _module(target).simulate
    return simulate, "onnxruntime"


def _module(target: str) -> ModuleType:
    name = Target.parse(target).lowering
    return importlib.import_module(f"edge_sdk.converters.lowering.{name}")
