"""A 3x3 convolution of stride 2 on few channels, as a 2x2 convolution on blocks of pixels.

Engines fetch the input of a convolution channel by channel around each output pixel. With the
three channels of a picture that is nine fetches of three bytes, and the stem of a network, a
hundredth of its work, takes a fifteenth of its time. Gather each 2x2 block of pixels into one
pixel of four times the channels, z[(a, b, c), h, w] = x[c, 2h + a, 2w + b], and write the row of
the kernel as i = 2p + a (i = -1, 0, 1; p = -1, 0; a = 0, 1; columns likewise):

    y[d, h, w] = sum W[d, c, i, j] x[c, 2h + i, 2w + j]
               = sum V[d, (a, b, c), p, q] z[(a, b, c), h + p, w + q],

with V = W where 2p + a is a row of the kernel and 2q + b a column, and 0 elsewhere: a 2x2 kernel
of stride 1, padded by one at the top and at the left. The products are the same, so are the
scales of the output channels.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from edge_sdk.converters.graph_index import GraphIndex, attribute, drop_unread, map_sizes, moves
from edge_sdk.quantization_table import QuantizationTable, WeightScale

_FEW = 4
_SUFFIX = ".blocks"


def stem_in_blocks(
    model: onnx.ModelProto, table: QuantizationTable
) -> tuple[onnx.ModelProto, QuantizationTable]:
    """Return copies of model and table with every such convolution rewritten.

    Layers keep their names, tensors theirs. Inputs of unknown or odd size are left alone.
    """
    rewritten = onnx.ModelProto()
    rewritten.CopyFrom(model)
    graph = rewritten.graph
    index = GraphIndex(graph)
    sizes = map_sizes(model)
    weights, rounded = dict(table.weights), dict(table.rounded)
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        size = sizes.get(node.input[0]) if node.input else None
        if size is None or size[0] % 2 or size[1] % 2 or not _is_stem(node, index):
            nodes.append(node)
            continue
        weight = index.value(node.input[1])
        name = node.input[1] + _SUFFIX
        _add(graph, name, block_kernel(weight))
        weights[name] = WeightScale(0, weights[node.input[1]].scales)
        if node.input[1] in rounded:
            rounded[name] = block_kernel(rounded[node.input[1]])
        nodes.extend(_gather(graph, node, weight.shape[1], size))
        nodes.append(
            helper.make_node(
                "Conv",
                [f"{node.output[0]}{_SUFFIX}", name, *node.input[2:]],
                list(node.output),
                node.name,
                kernel_shape=[2, 2],
                pads=[1, 1, 0, 0],
            )
        )
    del graph.node[:]
    graph.node.extend(nodes)
    drop_unread(graph)
    return rewritten, replace(table, weights=weights, rounded=rounded)


_Number = TypeVar("_Number", np.float32, np.int8)


def block_kernel(weight: npt.NDArray[_Number]) -> npt.NDArray[_Number]:
    """Return V [D, 4 C, 2, 2] of W [D, C, 3, 3]."""
    padded = np.pad(weight, ((0, 0), (0, 0), (1, 0), (1, 0)))  # rows 2p + a = -2, -1, 0, 1
    blocks = padded.reshape(*weight.shape[:2], 2, 2, 2, 2)  # D, C, p, a, q, b
    kernel: npt.NDArray[_Number] = blocks.transpose(0, 3, 5, 1, 2, 4).reshape(len(weight), -1, 2, 2)
    return np.ascontiguousarray(kernel)


def _gather(
    graph: onnx.GraphProto, node: onnx.NodeProto, channels: int, size: tuple[int, int]
) -> list[onnx.NodeProto]:
    """[B, C, H, W] -> [B, H, W, C] -> [B, H/2, 2, W/2, 2 C] -> [B, H/2, W/2, 4 C] -> [B, 4 C, ..].

    Channels last, the two pixels of a row already lie together and move as one.
    """
    height, width = size[0] // 2, size[1] // 2
    steps = [
        ("Transpose", [0, 2, 3, 1]),
        ("Reshape", [-1, height, 2, width, 2 * channels]),
        ("Transpose", [0, 1, 3, 2, 4]),
        ("Reshape", [-1, height, width, 4 * channels]),
        ("Transpose", [0, 3, 1, 2]),
    ]
    return moves(graph, node.input[0], f"{node.output[0]}{_SUFFIX}", steps)


def _is_stem(node: onnx.NodeProto, index: GraphIndex) -> bool:
    """Tell whether a node is a 3x3 convolution of stride 2, padded by 1, on few channels."""
    return (
        node.op_type == "Conv"
        and index.is_constant(node.input[1])
        and index.shape(node.input[1])[2:] == (3, 3)
        and index.shape(node.input[1])[1] <= _FEW
        and list(attribute(node, "strides", [1, 1])) == [2, 2]
        and list(attribute(node, "pads", [0] * 4)) == [1] * 4
        and list(attribute(node, "dilations", [1, 1])) == [1, 1]
        and attribute(node, "auto_pad", "NOTSET") == "NOTSET"
        and attribute(node, "group", 1) == 1
    )


def _add(graph: onnx.GraphProto, name: str, value: npt.NDArray[np.float32]) -> None:
    graph.initializer.append(numpy_helper.from_array(value, name))
