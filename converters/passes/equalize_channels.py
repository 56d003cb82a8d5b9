"""A factor for each channel of a tensor, moved into the layers around it.

With t = relu(W x + b), or without the ReLU, and y = V t the only layers that read t, any factors
f_c > 0 leave the network what it is:

    t / f = relu((W / f) x + b / f)     row by row, since relu(a / f) = relu(a) / f,
    V t   = (V f) (t / f)               column by column.

But the channels of t, and the columns of V, have other ranges. SiLU does not commute with
factors: behind it nothing can be moved.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from edge_sdk.converters.graph_index import GraphIndex, attribute
from edge_sdk.converters.quantization_points import is_depthwise, is_weighted_layer, weighted_layers
from edge_sdk.errors import EdgeError
from edge_sdk.quantization_table import QuantizationTable

_HOMOGENEOUS = frozenset({"Relu", "LeakyRelu"})
"""Functions with g(a f) = g(a) f for every f > 0."""


class Link(NamedTuple):
    """The layers around a tensor."""

    producer: onnx.NodeProto
    readers: tuple[onnx.NodeProto, ...]


def links(model: onnx.ModelProto) -> dict[str, Link]:
    """Return the tensors whose channels can take factors, with the layers that do."""
    index = GraphIndex(model.graph)
    outputs = {output.name for output in model.graph.output}
    found = {}
    for node in weighted_layers(index):
        name = node.output[0]
        behind = index.consumers[name]
        if len(behind) == 1 and behind[0].op_type in _HOMOGENEOUS and name not in outputs:
            name = behind[0].output[0]
        readers = tuple(index.consumers[name])
        if (
            readers
            and name not in outputs
            and _is_alone(node, index)
            and (node.op_type == "Conv" or attribute(node, "group", 1) == 1)
            and all(_can_read(reader, name, index) for reader in readers)
        ):
            found[name] = Link(node, readers)
    return found


def equalized(
    model: onnx.ModelProto, table: QuantizationTable
) -> tuple[onnx.ModelProto, QuantizationTable]:
    """Return the model with the table's factors in its weights, and the table without them.

    Raises
    ------
    EdgeError
        If the model cannot take a factor.
    """
    if not table.factors:
        return model, table
    made = onnx.ModelProto()
    made.CopyFrom(model)
    tensors = {tensor.name: tensor for tensor in made.graph.initializer}
    known = links(model)
    for name, factors in table.factors.items():
        if name not in known:
            raise EdgeError(
                f"The quantization table has factors for the channels of {name!r}, which this "
                "model cannot take: make the table again with `edge-sdk refine`."
            )
        producer, readers = known[name]
        for constant in producer.input[1:]:
            axis = 1 if producer.op_type == "ConvTranspose" and constant == producer.input[1] else 0
            _scale(tensors[constant], axis, 1 / factors)
        for reader in readers:
            _scale(tensors[reader.input[1]], input_axis(reader), factors)
    return made, replace(table, factors={})


def input_axis(layer: onnx.NodeProto) -> int:
    """Return the axis of a reader's weight along which the channels of its input lie."""
    return 1 if layer.op_type == "Conv" and attribute(layer, "group", 1) == 1 else 0


def _can_read(node: onnx.NodeProto, name: str, index: GraphIndex) -> bool:
    return (
        is_weighted_layer(node, index)
        and node.input[0] == name
        and _is_alone(node, index)
        and (attribute(node, "group", 1) == 1 or is_depthwise(node, index))
    )


def _is_alone(node: onnx.NodeProto, index: GraphIndex) -> bool:
    """Tell whether a layer shares neither weight nor bias, and both are initializers."""
    initializers = {tensor.name for tensor in index.graph.initializer}
    return all(name in initializers and len(index.consumers[name]) == 1 for name in node.input[1:])


def _scale(tensor: onnx.TensorProto, axis: int, factors: npt.NDArray[np.floating]) -> None:
    value = numpy_helper.to_array(tensor)
    shape = [-1 if position == axis else 1 for position in range(value.ndim)]
    scaled = value * factors.astype(np.float64).reshape(shape)
    tensor.CopyFrom(numpy_helper.from_array(scaled.astype(value.dtype), tensor.name))
