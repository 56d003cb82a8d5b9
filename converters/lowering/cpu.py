"""The form that both CPU engines run fast: uint8 activations, int8 weights, float biases.

The grid of the table has 127 steps on either side of zero. x86 multiplies uint8 by int8, so a
CPU has 256 integers to spend, and this lowering spends them all over the *same range*: what the
table clips at 127 steps is clipped here at the same value. With l the least value that the graph
allows (0 behind ReLU, -0.2785 behind SiLU, none behind a convolution) and s the table's scale,

    low  = max(l, -127 s),  high = 127 s,
    scale = (high - low) / 255,  zero point = round(-low / scale):

for a non-negative tensor 127 s / 255 with zero point 0. Where nothing is known about the sign,
the grid of the table stays as it is, shifted to zero point 128.

Where an engine can round channel by channel (`channel_ranges`), the channels of a tensor that
only depthwise convolutions read have such a grid each, over the smaller of their own range and
the tensor's.

Biases are float in the file; engines hold them as int32 in steps of scale * weight scale. The
floor of the weight scales is therefore applied again here, with the CPU's own scale.

Without VNNI, two products of uint8 and int8 are added up in int16, which ends at 32767, below
2 * 255 * 127. With 7-bit weights they fit: 2 * 255 * 63 = 32130.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import onnx

from edge_sdk.converters.graph_index import GraphIndex
from edge_sdk.converters.lowering.quantization import (
    Grid,
    Quantization,
    WeightGrid,
    integer_nodes,
)
from edge_sdk.converters.lowering.silu import silu_grids
from edge_sdk.converters.quantization_points import (
    QuantizationPoints,
    quantization_points,
    weighted_layers,
)
from edge_sdk.converters.weight_scales import BIAS_STEPS
from edge_sdk.errors import EdgeError
from edge_sdk.quantization_table import STEPS, ActivationScale, QuantizationTable

GRID = "uint8 over the table's range"
"""How bundles report the grid of their activations."""

_LEVELS = 255
_SEVEN_BITS = 63
_CHEAP = 10 ** (0.5 / 20)


class CpuForm:
    """The CPU's form of one model: its grids, and what reads integers for any choice of layers.

    Parameters
    ----------
    model : the float graph, opset 19.
    table : its quantization table.
    seven_bit_weights : for CPUs without VNNI.
    integer_silu : run SiLU on integers (see `silu`).
    channel_ranges : give each channel a range of its own where the table has one.

    Raises
    ------
    EdgeError
        If the table lacks a tensor or a weight of the model.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        table: QuantizationTable,
        *,
        seven_bit_weights: bool = False,
        integer_silu: bool = False,
        channel_ranges: bool = False,
    ) -> None:
        points = quantization_points(model)
        entries = completed(table, points)
        limit = _SEVEN_BITS if seven_bit_weights else STEPS
        self._index = GraphIndex(model.graph)
        self._integer_silu = integer_silu
        self._biases = table.biases
        self.activations = _activation_grids(entries, points.lower_bounds)
        for name in points.channels if channel_ranges else ():
            if name in table.channels:
                self.activations[name] = channel_grid(
                    entries[name], table.channels[name], points.lower_bounds[name]
                )
        self.weights = weight_grids(self._index, table, self.activations, limit)

    def quantization(self, layers: frozenset[str]) -> Quantization:
        """Return what reads integers, on which grids, if the named layers run in INT8."""
        integer = integer_nodes(self._index, layers)
        inner = silu_grids(self._index, layers, self.activations) if self._integer_silu else {}
        integer |= {node.output[0] for name in inner for node in self._index.consumers[name]}
        return Quantization(
            frozenset(integer), {**self.activations, **inner}, self.weights, self._biases
        )


def grid_steps(lower_bound: float) -> int:
    """Return the steps of the grid above zero; behind SiLU a few of them lie below it."""
    return STEPS if lower_bound == -math.inf else _LEVELS


def cpu_grid(entry: ActivationScale, lower_bound: float) -> Grid:
    """Return the CPU's grid over the range of a table entry."""
    if lower_bound <= -entry.limit:
        return Grid(entry.scale, STEPS + 1, np.uint8)
    low = min(lower_bound, 0.0)
    scale = (entry.limit - low) / _LEVELS
    return Grid(scale, round(-low / scale), np.uint8)


def channel_grid(
    entry: ActivationScale, steps: npt.NDArray[np.float32], lower_bound: float
) -> Grid:
    """Return the CPU's grid with a range for each channel, none beyond the entry's."""
    grids = [
        cpu_grid(replace(entry, scale=min(entry.scale, step)), lower_bound)
        for step in steps.tolist()
    ]
    widest = max(grids, key=lambda grid: grid.scale)
    return replace(widest, channels=tuple((grid.scale, grid.zero_point) for grid in grids))


def _activation_grids(
    entries: dict[str, ActivationScale], lower_bounds: dict[str, float]
) -> dict[str, Grid]:
    """Return all grids; tensors that share an entry share its grid where that is cheap.

    A shared grid goes down to the lowest bound of all, so a Concat of them only moves integers.
    A tensor that would lose 0.5 dB keeps a grid of its own: above all a ReLU beside a signed
    tensor, which would lose one of its eight bits.
    """
    lowest: dict[ActivationScale, float] = {}
    for name, bound in lower_bounds.items():
        lowest[entries[name]] = min(bound, lowest.get(entries[name], bound))
    grids = {}
    for name, bound in lower_bounds.items():
        own, shared = (cpu_grid(entries[name], low) for low in (bound, lowest[entries[name]]))
        grids[name] = shared if shared.scale < _CHEAP * own.scale else own
    return grids


def completed(table: QuantizationTable, points: QuantizationPoints) -> dict[str, ActivationScale]:
    """Return the entries of all points; what a pass put into a scale group takes its scale."""
    entries = dict(table.activations)
    for group in points.scale_groups:
        known = next((entries[name] for name in group if name in entries), None)
        if known is not None:
            entries.update({name: known for name in group if name not in entries})
    missing = [name for name in points.activations if name not in entries]
    if missing:
        raise EdgeError(
            f"The quantization table has no scale for the tensor {missing[0]!r}: calibrate this "
            "model again."
        )
    return entries


def weight_grids(
    index: GraphIndex,
    table: QuantizationTable,
    activations: dict[str, Grid],
    limit: int,
) -> dict[str, WeightGrid]:
    """Return the grids of all weights.

    Parameters
    ----------
    index : of the float graph.
    table : its quantization table.
    activations : the grids of the layers' inputs, for the floor of the scales.
    limit : the largest integer of a weight.

    Raises
    ------
    EdgeError
        If the table lacks a weight of the model.
    """
    grids: dict[str, WeightGrid] = {}
    for node in weighted_layers(index):
        entry = table.weights.get(node.input[1])
        if entry is None:
            raise EdgeError(
                f"The quantization table has no scales for the weight {node.input[1]!r}: "
                "calibrate this model again."
            )
        scales = entry.scales * np.float32(STEPS / limit)
        if len(node.input) > 2 and node.input[2]:
            bias = np.abs(index.value(node.input[2])).reshape(-1, len(scales)).max(axis=0)
            floor = bias / (activations[node.input[0]].scales * BIAS_STEPS)
            scales = np.maximum(scales, floor.astype(np.float32))
        learned = table.rounded.get(node.input[1])
        if not np.array_equal(scales, entry.scales):
            learned = None  # it holds on the grid of the table only
        grids[node.input[1]] = WeightGrid(entry.axis, scales, limit, learned)
    return grids
