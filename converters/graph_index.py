"""Who makes and who reads each tensor of an ONNX graph."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

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
            value = onnx.helper.get_attribute_value(entry)
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
