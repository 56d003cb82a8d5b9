"""Inserting QuantizeLinear and DequantizeLinear, in whatever types a target wants.

Every tensor is quantized once; all layers that read it as integers share that one node. What
runs in float reads the tensor as it was. A tensor that a layer scales by a positive constant
(the alpha of a bottleneck) keeps its integers: the factor goes into the scale of a second
DequantizeLinear, and no multiplication is left between it and the layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from edge_sdk.converters.graph_index import GraphIndex, drop_unread
from edge_sdk.converters.quantization_points import (
    INTEGER,
    data_inputs,
    is_weighted_layer,
    rescaling,
)


@dataclass(frozen=True)
class Grid:
    """Integers of one tensor: value = (integer - zero_point) * scale."""

    scale: float
    zero_point: int
    dtype: type[np.uint8] | type[np.int8]


@dataclass(frozen=True)
class WeightGrid:
    """Integers of one weight: int8 from -limit to limit, zero point 0."""

    axis: int
    scales: npt.NDArray[np.float32]
    limit: int


def insert(
    model: onnx.ModelProto,
    layers: frozenset[str],
    activations: Mapping[str, Grid],
    weights: Mapping[str, WeightGrid],
    inner: Mapping[str, Grid] | None = None,
) -> onnx.ModelProto:
    """Return a copy of a float model in which the named layers read integers.

    Parameters
    ----------
    model : the float graph.
    layers : names of the weighted layers to quantize.
    activations : tensor name -> its grid; only what an integer layer reads is quantized.
    weights : initializer name -> its grid.
    inner : grids of tensors that are no quantization points; whatever reads them reads
        integers.
    """
    lowered = onnx.ModelProto()
    lowered.CopyFrom(model)
    insertion = _Insertion(lowered.graph, layers, {**activations, **(inner or {})}, weights)
    insertion.integer |= {
        node.output[0] for name in inner or {} for node in insertion.index.consumers[name]
    }
    insertion.run()
    return lowered


def integer_nodes(index: GraphIndex, layers: frozenset[str]) -> set[str]:
    """Return the nodes that work on integers, by first output.

    These are the weighted layers in `layers`, and every Add, Concat, pooling, rescaling or
    moving operator whose values reach one of them before they reach another weighted layer.
    """
    reaching: set[str] = set()
    for node in reversed(index.graph.node):
        if is_weighted_layer(node, index):
            if node.name in layers:
                reaching.add(node.output[0])
        elif any(
            reader.output[0] in reaching and name in data_inputs(reader)
            for name in node.output
            for reader in index.consumers[name]
        ):
            reaching.add(node.output[0])
    return {
        node.output[0]
        for node in index.graph.node
        if node.output[0] in reaching and (node.op_type in INTEGER or rescaling(node, index))
    }


class _Insertion:
    """One run over one graph."""

    def __init__(
        self,
        graph: onnx.GraphProto,
        layers: frozenset[str],
        activations: Mapping[str, Grid],
        weights: Mapping[str, WeightGrid],
    ) -> None:
        self.graph = graph
        self.index = GraphIndex(graph)
        self.integer = integer_nodes(self.index, layers)
        self.activations = activations
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.dequantized: dict[str, str] = {}

    def run(self) -> None:
        for tensor in self.graph.input:
            self._quantize(tensor.name)
        for node in self.graph.node:
            scaled = rescaling(node, self.index)
            if node.output[0] in self.integer:
                self._read_integers(node)
            self.nodes.append(node)
            for name in node.output:
                if scaled is not None and node.output[0] in self.integer:
                    self._dequantize(scaled[0], name, scaled[1])
                else:
                    self._quantize(name)
        del self.graph.node[:], self.graph.value_info[:]
        self.graph.node.extend(self.nodes)
        self.graph.initializer.extend(self.constants.values())
        drop_unread(self.graph)

    def _read_integers(self, node: onnx.NodeProto) -> None:
        """Let a node read what was dequantized instead of the float tensors."""
        if is_weighted_layer(node, self.index):
            node.input[1] = self._dequantized_weight(node.input[1])
        for position, name in enumerate(node.input):
            if rescaling(node, self.index) is None:
                node.input[position] = self.dequantized.get(name, name)

    def _quantize(self, name: str) -> None:
        """Put Q and DQ behind a tensor that an integer node reads."""
        grid = self.activations.get(name)
        readers = self.index.consumers[name]
        if grid is None or not any(reader.output[0] in self.integer for reader in readers):
            return
        zero_point = self._constant(f"{name}.zero_point", np.array(grid.zero_point, grid.dtype))
        scale = self._constant(f"{name}.scale", np.array(grid.scale, np.float32))
        self.nodes.append(
            helper.make_node(
                "QuantizeLinear", [name, scale, zero_point], [f"{name}.q"], f"{name}.quantize"
            )
        )
        self._dequantize(name, name, 1.0)

    def _dequantize(self, quantized: str, name: str, factor: float) -> None:
        """Make `name` from the integers of `quantized` times a factor."""
        grid = self.activations[quantized]
        scale = self._constant(
            f"{name}.dequantize.scale", np.array(grid.scale * factor, np.float32)
        )
        inputs = [f"{quantized}.q", scale, f"{quantized}.zero_point"]
        self.nodes.append(
            helper.make_node("DequantizeLinear", inputs, [f"{name}.dq"], f"{name}.dequantize")
        )
        self.dequantized[name] = f"{name}.dq"

    def _dequantized_weight(self, name: str) -> str:
        grid = self.weights[name]
        output = f"{name}.dq"
        if f"{name}.q" not in self.constants:
            weight = self.index.value(name)
            quantized = self._constant(f"{name}.q", _integers(weight, grid))
            scale = self._constant(f"{name}.scale", grid.scales)
            zero = self._constant(f"{name}.zero_point", np.zeros(len(grid.scales), np.int8))
            self.nodes.append(
                helper.make_node(
                    "DequantizeLinear",
                    [quantized, scale, zero],
                    [output],
                    f"{name}.dequantize",
                    axis=grid.axis,
                )
            )
        return output

    def _constant(self, name: str, value: npt.NDArray[np.generic]) -> str:
        self.constants[name] = numpy_helper.from_array(value, name)
        return name


def _integers(weight: npt.NDArray[np.float32], grid: WeightGrid) -> npt.NDArray[np.int8]:
    shape = [-1 if axis == grid.axis else 1 for axis in range(weight.ndim)]
    steps = np.rint(weight.astype(np.float64) / grid.scales.reshape(shape))
    return np.clip(steps, -grid.limit, grid.limit).astype(np.int8)
