"""Looking into ONNX graphs: who makes and who reads each tensor; and what passes share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper, shape_inference

Array = npt.NDArray[Any]


class GraphIndex:
    """Look-ups over one graph; stale as soon as the graph changes.

    Attributes
    ----------
    graph : the indexed graph.
    producers : tensor name -> the node that makes it (constants have none).
    consumers : tensor name -> the nodes that read it, in the order of the graph.
    """

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self._initializers = {tensor.name: tensor for tensor in graph.initializer}
        self.producers: dict[str, onnx.NodeProto] = {}
        self.consumers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in graph.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self._initializers[node.output[0]] = node.attribute[0].t
                continue
            if node.op_type == "Identity" and node.input[0] in self._initializers:
                self._initializers[node.output[0]] = self._initializers[node.input[0]]
                continue
            for name in node.output:
                self.producers[name] = node
            for name in dict.fromkeys(filter(None, node.input)):
                self.consumers[name].append(node)

    def is_constant(self, name: str) -> bool:
        """Tell whether a tensor is an initializer, a Constant node's output, or a copy of one."""
        return name in self._initializers

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a constant."""
        return tuple(self._initializers[name].dims)

    def value(self, name: str) -> Array:
        """Return the value of a constant."""
        return numpy_helper.to_array(self._initializers[name])

    def scalar(self, name: str) -> float | None:
        """Return the value of a constant with one element, else None."""
        if not self.is_constant(name) or int(np.prod(self.shape(name))) != 1:
            return None
        return float(self.value(name).reshape(-1)[0])


def attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    """Return an attribute's value; text comes as `str`."""
    for entry in node.attribute:
        if entry.name == name:
            value = helper.get_attribute_value(entry)
            return value.decode() if isinstance(value, bytes) else value
    return default


def drop_unread(graph: onnx.GraphProto) -> None:
    """Remove the nodes and initializers that no output of the graph depends on."""
    read = {output.name for output in graph.output}
    kept: list[onnx.NodeProto] = []
    for node in reversed(graph.node):
        if any(name in read for name in node.output):
            read.update(node.input)
            kept.append(node)
    initializers = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(kept))
    graph.initializer.extend(initializers)


def map_sizes(model: onnx.ModelProto) -> dict[str, tuple[int, int]]:
    """Return height and width of every [B, C, H, W] tensor where both are known."""
    graph = shape_inference.infer_shapes(model).graph
    sizes = {}
    for value in [*graph.input, *graph.value_info, *graph.output]:
        dims = value.type.tensor_type.shape.dim
        if len(dims) == 4 and dims[2].dim_value and dims[3].dim_value:
            sizes[value.name] = (dims[2].dim_value, dims[3].dim_value)
    return sizes


def moves(
    graph: onnx.GraphProto, source: str, target: str, steps: Sequence[tuple[str, list[int]]]
) -> list[onnx.NodeProto]:
    """Return the nodes that make `target` of `source` by transpositions and reshapes.

    Parameters
    ----------
    graph : gets the constants.
    source, target : tensors.
    steps : ("Transpose", permutation) or ("Reshape", shape), in their order.
    """
    nodes = []
    for number, (kind, values) in enumerate(steps, 1):
        output = target if number == len(steps) else f"{target}.move{number}"
        node = helper.make_node(kind, [source], [output], f"{target}.move{number}")
        if kind == "Transpose":
            node.attribute.append(helper.make_attribute("perm", values))
        else:
            node.input.append(f"{output}.shape")
            shape = numpy_helper.from_array(np.array(values, np.int64), node.input[1])
            graph.initializer.append(shape)
        nodes.append(node)
        source = output
    return nodes
