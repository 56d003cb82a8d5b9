"""Inserting QuantizeLinear and DequantizeLinear, in whatever types a target wants.

Every tensor is quantized once; all layers that read it as integers share that one node. What
runs in float reads the tensor as it was. A tensor that a layer scales by a positive constant
(the alpha of a bottleneck) keeps its integers: the factor goes into the scale of a second
DequantizeLinear, and no multiplication is left between it and the layer.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from edge_sdk.converters.graph_index import GraphIndex, drop_unread
from edge_sdk.converters.lowering.quantization import Grid, Quantization
from edge_sdk.converters.quantization_points import is_weighted_layer, rescaling


def insert(model: onnx.ModelProto, quantization: Quantization) -> onnx.ModelProto:
    """Return a copy of a float model whose nodes read integers where `quantization` says so."""
    lowered = onnx.ModelProto()
    lowered.CopyFrom(model)
    _Insertion(lowered.graph, quantization).run()
    return lowered


class _Insertion:
    """One run over one graph."""

    def __init__(self, graph: onnx.GraphProto, quantization: Quantization) -> None:
        self.graph = graph
        self.index = GraphIndex(graph)
        self.quantization = quantization
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.dequantized: dict[str, str] = {}

    def run(self) -> None:
        for tensor in self.graph.input:
            self._quantize(tensor.name)
        for node in self.graph.node:
            if self.quantization.reads_integers(node):
                self._read_integers(node)
            self.nodes.append(node)
            for name in node.output:
                self._quantize(name)
        del self.graph.node[:], self.graph.value_info[:]
        self.graph.node.extend(self.nodes)
        self.graph.initializer.extend(self.constants.values())
        drop_unread(self.graph)

    def _read_integers(self, node: onnx.NodeProto) -> None:
        """Let a node read what was dequantized instead of the float tensors."""
        if rescaling(node, self.index) is not None:
            return  # what it makes is made of the integers themselves
        if is_weighted_layer(node, self.index):
            node.input[1] = self._dequantized_weight(node.input[1])
            if len(node.input) > 2 and node.input[2] in self.quantization.biases:
                bias = self.quantization.biases[node.input[2]]
                node.input[2] = self._constant(f"{node.input[2]}.corrected", bias)
        for position, name in enumerate(node.input):
            node.input[position] = self.dequantized.get(name, name)

    def _quantize(self, name: str) -> None:
        """Put Q and DQ behind a tensor that an integer node reads."""
        source = self.quantization.source(name, self.index)
        if source is None:
            return
        if source[0] == name:
            grid = self.quantization.activations[name]
            scale = self._constant(f"{name}.scale", grid.scales.astype(np.float32))
            zero = self._constant(f"{name}.zero_point", grid.zero_points)
            self._node("QuantizeLinear", [name, scale, zero], f"{name}.q", f"{name}.quantize", grid)
        self._dequantize(*source, name)

    def _dequantize(self, quantized: str, factor: float, name: str) -> None:
        """Make `name` from the integers of `quantized` times a factor."""
        grid = self.quantization.activations[quantized]
        scales = np.asarray(grid.scales * factor, np.float32)
        scale = self._constant(f"{name}.dequantize.scale", scales)
        inputs = [f"{quantized}.q", scale, f"{quantized}.zero_point"]
        self._node("DequantizeLinear", inputs, f"{name}.dq", f"{name}.dequantize", grid)
        self.dequantized[name] = f"{name}.dq"

    def _node(self, kind: str, inputs: list[str], output: str, name: str, grid: Grid) -> None:
        node = helper.make_node(kind, inputs, [output], name)
        if grid.channels:
            node.attribute.append(helper.make_attribute("axis", 1))
        self.nodes.append(node)

    def _dequantized_weight(self, name: str) -> str:
        grid = self.quantization.weights[name]
        output = f"{name}.dq"
        if f"{name}.q" not in self.constants:
            quantized = self._constant(f"{name}.q", grid.quantize(self.index.value(name)))
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
