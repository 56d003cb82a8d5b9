"""TensorRT: strongly typed, symmetric int8 where the plan says so, float16 elsewhere.

Only what an integer layer reads directly is quantized. TensorRT itself moves a QuantizeLinear
backward, and a DequantizeLinear forward, over whatever only moves values (concatenations, max
pooling, reshapes), so that a Q on the input of a layer reaches the layer that makes the values.
Further pairs would only round again. Of the operators between two layers, an Add or a Concat
reads the integers of those operands that have them anyway.

The skip connection of a bottleneck, `alpha x + relu(conv(...))`, has two variants, since the
ReLU stands before the Add and the usual fusion of convolution and Add does not apply:

    skip   the Add reads the integers of x, which the bottleneck's first layer reads too, and
           the float16 values of the branch;
    both   the branch is quantized too.

In both alpha goes into the scale of the skip's DequantizeLinear. Which one is faster only a GPU
can tell.

Scales are float16, as the tensors are. They are rounded first and integers made of the rounded
scale, so the rounding costs nothing but a shift of the range by 2^-12 at most. A float16 below
2^-14 loses bits of its own, but is still a scale like any other; below 2^-20 hardly a bit is
left, and weight scales end there.

All channels of a tensor share one range. Where depthwise convolutions read it that can cost nearly
everything (see `float_by_default`): a plan without a search keeps them float.

ConvTranspose becomes a 1x1 convolution: of transposed convolutions with a scale a channel,
TensorRT has no integer kernel in many versions.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import onnx

from edge_sdk.converters.graph_index import GraphIndex
from edge_sdk.converters.lowering.cpu import completed, weight_grids
from edge_sdk.converters.lowering.qdq import insert
from edge_sdk.converters.lowering.quantization import Grid, Quantization, integer_nodes
from edge_sdk.converters.model_file import head_spec_of, set_metadata
from edge_sdk.converters.passes.best_candidates import best_candidates
from edge_sdk.converters.passes.byte_input import byte_input
from edge_sdk.converters.passes.equalize_channels import equalized
from edge_sdk.converters.passes.half_precision import half_precision
from edge_sdk.converters.passes.upsample_as_convolution import upsample_as_convolution
from edge_sdk.converters.quantization_points import (
    is_depthwise,
    leading_nodes,
    quantization_points,
    rescaling,
    weighted_layers,
)
from edge_sdk.errors import EdgeError
from edge_sdk.quantization_table import STEPS, QuantizationTable

GRID = "int8, the table's own grid"
"""How bundles report the grid of their activations."""
CANDIDATES = 300
"""Boxes that leave the network: 24 bytes each, 7.2 KB an image."""

LAYERS_KEY = "edge_sdk.int8_layers"
"""Metadata of lowered graphs: the layers that are to run in INT8, as a JSON list."""

Skip = Literal["skip", "both"]
DEPTHWISE = (
    "a depthwise layer, whose channels share one range on TensorRT: float16, unless a search finds "
    "that INT8 loses little"
)
_LEAST_SCALE = 2.0**-20
_FLOAT = frozenset({"AveragePool", "GlobalAveragePool"})
"""They want integers on both sides, or on none."""


def grid_steps(lower_bound: float) -> int:
    """Return the steps of the grid above zero: as many for every tensor."""
    return STEPS


class TensorrtForm:
    """TensorRT's form of one model: its grids, and what reads integers for a choice of layers.

    Parameters
    ----------
    model : the float graph, opset 19.
    table : its quantization table.
    skip : which operands of a bottleneck's Add are quantized.

    Raises
    ------
    EdgeError
        If the table lacks a tensor or a weight of the model.
    """

    def __init__(
        self, model: onnx.ModelProto, table: QuantizationTable, *, skip: Skip = "skip"
    ) -> None:
        entries = completed(table, quantization_points(model))
        self._index = GraphIndex(model.graph)
        self._skip = skip
        self._biases = table.biases
        self.activations = {
            name: Grid(float(_half(entry.scale)), 0, np.int8) for name, entry in entries.items()
        }
        self.weights = {
            name: replace(grid, scales=_half(grid.scales))
            for name, grid in weight_grids(self._index, table, self.activations, STEPS).items()
        }

    def quantization(self, layers: frozenset[str]) -> Quantization:
        """Return what reads integers, on which grids, if the named layers run in INT8."""
        nodes = integer_nodes(self._index, layers)
        read = [node.input[0] for node in weighted_layers(self._index) if node.name in layers]
        integer = [
            node
            for node in self._index.graph.node
            if node.output[0] in nodes and node.op_type not in _FLOAT
        ]
        if self._skip == "both":
            read += [name for node in integer if node.op_type == "Add" for name in node.input]
        quantized = {self._source(name) for name in read} & set(self.activations)
        reading = {
            node.output[0]
            for node in integer
            if (scaled := rescaling(node, self._index)) is None or scaled[0] in quantized
        }
        grids = {name: grid for name, grid in self.activations.items() if name in quantized}
        return Quantization(frozenset(reading), grids, self.weights, self._biases)

    def _source(self, name: str) -> str:
        """Return the tensor whose integers a tensor's are."""
        node = self._index.producers.get(name)
        scaled = rescaling(node, self._index) if node is not None else None
        return name if scaled is None else scaled[0]


def float_by_default(model: onnx.ModelProto) -> dict[str, str]:
    """Return the layers that stay float where no search says otherwise, with the reason.

    They are the depthwise ones. No sum over channels hides that their narrow channels are rounded
    on the step of the widest one, and they have little work for tensor cores to do faster.
    YOLOX-nano loses 29 points of mAP50-95 with them in INT8, 0.4 without (simulated).
    """
    index = GraphIndex(model.graph)
    return {node.name: DEPTHWISE for node in weighted_layers(index) if is_depthwise(node, index)}


def form(
    model: onnx.ModelProto, table: QuantizationTable, *, seven_bit_weights: bool = False
) -> TensorrtForm:
    """Return the grids and places of TensorRT's integers.

    Raises
    ------
    EdgeError
        If the table does not fit the model, or 7-bit weights are asked for.
    """
    _refuse_seven_bits(seven_bit_weights)
    return TensorrtForm(model, table)


def lower(
    model: onnx.ModelProto,
    table: QuantizationTable,
    layers: frozenset[str],
    *,
    seven_bit_weights: bool = False,
    skip: Skip = "skip",
    candidates: int | None = CANDIDATES,
) -> onnx.ModelProto:
    """Return the strongly typed graph for TensorRT, uint8 images in.

    Parameters
    ----------
    model : the float graph of `convert`, opset 19.
    table : its quantization table.
    layers : names of the weighted layers to run in INT8.
    seven_bit_weights : not for GPUs.
    skip : which operands of a bottleneck's Add are quantized.
    candidates : how many boxes leave the network (see `best_candidates`); None leaves the
        outputs as they are, in float16.

    Raises
    ------
    EdgeError
        If the table does not fit the model, a value does not fit float16, or 7-bit weights are
        asked for.
    """
    _refuse_seven_bits(seven_bit_weights)
    spec = head_spec_of(model)
    model, table = upsample_as_convolution(*equalized(model, table))
    half = leading_nodes(GraphIndex(model.graph))
    quantization = TensorrtForm(model, table, skip=skip).quantization(layers)
    lowered = half_precision(insert(model, quantization), half)
    lowered = byte_input(lowered, spec.preprocessing.scale)
    if candidates is not None:
        lowered = best_candidates(lowered, spec, candidates)
    set_metadata(lowered, LAYERS_KEY, json.dumps(sorted(layers)))
    return lowered


def simulate(
    model: onnx.ModelProto,
    table: QuantizationTable,
    layers: frozenset[str],
    *,
    seven_bit_weights: bool = False,
) -> onnx.ModelProto:
    """Return the graph with the same integers, but float32 where `lower` has float16.

    Inputs and outputs are those of the float model, so that CPU engines run it in its place.
    """
    model, table = equalized(model, table)
    quantization = form(model, table, seven_bit_weights=seven_bit_weights).quantization(layers)
    return insert(model, quantization)


def _half(scales: float | npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return float16 scales, held as float32."""
    return np.maximum(scales, _LEAST_SCALE).astype(np.float16).astype(np.float32)


def _refuse_seven_bits(asked: bool) -> None:
    if asked:
        raise EdgeError("7-bit weights are for x86 CPUs without VNNI, not for TensorRT.")
