"""ConvTranspose with a 2x2 kernel and stride 2, as a 1x1 convolution and moved pixels.

With stride 2 and a 2x2 kernel, each input pixel makes its own 2x2 block of output pixels:

    y[d, 2h + i, 2w + j] = b[d] + sum_c W[c, d, i, j] x[c, h, w].

That is a 1x1 convolution to 4 D channels, row (2 i + j) D + d = W[:, d, i, j], whose channels
become pixels. The arithmetic is the same, term by term; the scale of output channel d serves its
four rows. The move is written channels-last, where whole runs of D values move at once: engines
that run convolutions channels-last cancel the outer transpositions against their own. (As
DepthToSpace it takes ONNX Runtime four times as long.)
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from edge_sdk.converters.graph_index import GraphIndex, attribute, drop_unread, map_sizes, moves
from edge_sdk.converters.quantization_points import leading_nodes
from edge_sdk.quantization_table import QuantizationTable, WeightScale


def upsample_as_convolution(
    model: onnx.ModelProto, table: QuantizationTable
) -> tuple[onnx.ModelProto, QuantizationTable]:
    """Return copies of model and table with every such ConvTranspose rewritten.

    Layers keep their names, tensors theirs. Inputs of unknown height or width are left alone, and
    layers with an activation before the next layer: the moves between would be quantized on a
    grid that no table has.
    """
    rewritten = onnx.ModelProto()
    rewritten.CopyFrom(model)
    graph = rewritten.graph
    index = GraphIndex(graph)
    sizes = map_sizes(model)
    leading = leading_nodes(index)
    weights, rounded, biases = dict(table.weights), dict(table.rounded), dict(table.biases)
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        size = sizes.get(node.input[0])
        activated = node.output[0] not in table.activations and any(
            reader.output[0] in leading for reader in index.consumers[node.output[0]]
        )
        if size is None or activated or not _doubles(node, index):
            nodes.append(node)
            continue
        weight = index.value(node.input[1])
        scales = weights[node.input[1]].scales
        layer = helper.make_node(
            "Conv",
            [node.input[0], _as_rows(node.input[1])],
            [_as_rows(node.output[0])],
            node.name,
            kernel_shape=[1, 1],
        )
        weights[layer.input[1]] = WeightScale(0, np.tile(scales, 4))
        _add(graph, layer.input[1], _rows(weight))
        if node.input[1] in rounded:
            rounded[layer.input[1]] = _rows(rounded[node.input[1]])
        if len(node.input) > 2 and node.input[2]:
            layer.input.append(_as_rows(node.input[2]))
            _add(graph, layer.input[2], np.tile(index.value(node.input[2]), 4))
            if node.input[2] in biases:
                biases[layer.input[2]] = np.tile(biases[node.input[2]], 4)
        nodes.append(layer)
        nodes.extend(_rows_to_pixels(graph, node, weight.shape[1], size))
    del graph.node[:]
    graph.node.extend(nodes)
    drop_unread(graph)
    return rewritten, replace(table, weights=weights, biases=biases, rounded=rounded)


def _doubles(node: onnx.NodeProto, index: GraphIndex) -> bool:
    """Tell whether a node is a ConvTranspose that makes 2x2 pixels of each pixel."""
    return (
        node.op_type == "ConvTranspose"
        and index.is_constant(node.input[1])
        and index.shape(node.input[1])[2:] == (2, 2)
        and list(attribute(node, "strides", [1, 1])) == [2, 2]
        and not any(attribute(node, "pads", [0]))
        and not any(attribute(node, "output_padding", [0]))
        and not any(attribute(node, "output_shape", [0]))
        and attribute(node, "auto_pad", "NOTSET") == "NOTSET"
        and attribute(node, "group", 1) == 1
    )


def _rows_to_pixels(
    graph: onnx.GraphProto, node: onnx.NodeProto, channels: int, size: tuple[int, int]
) -> list[onnx.NodeProto]:
    """[B, 4 D, H, W] -> [B, H, W, 2, 2, D] -> [B, H, 2, W, 2, D] -> [B, D, 2 H, 2 W]."""
    height, width = size
    steps = [
        ("Transpose", [0, 2, 3, 1]),
        ("Reshape", [-1, height, width, 2, 2, channels]),
        ("Transpose", [0, 1, 3, 2, 4, 5]),
        ("Reshape", [-1, 2 * height, 2 * width, channels]),
        ("Transpose", [0, 3, 1, 2]),
    ]
    return moves(graph, _as_rows(node.output[0]), node.output[0], steps)


def _rows(weight: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return [4 D, C, 1, 1] of [C, D, 2, 2]."""
    return weight.transpose(2, 3, 1, 0).reshape(-1, len(weight), 1, 1)


def _as_rows(name: str) -> str:
    return f"{name}.rows"


def _add(graph: onnx.GraphProto, name: str, value: npt.NDArray[Any]) -> None:
    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
