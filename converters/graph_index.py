"""Who makes and who reads each tensor of an ONNX graph."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
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
            for name in node.output:
                self.producers[name] = node
            for name in dict.fromkeys(filter(None, node.input)):
                self.consumers[name].append(node)

    def is_constant(self, name: str) -> bool:
        """Tell whether a tensor is an initializer or the output of a Constant node."""
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

    @cached_property
    def output_names(self) -> frozenset[str]:
        """Names of the outputs of the graph."""
        return frozenset(output.name for output in self.graph.output)


def attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    """Return an attribute's value; text comes as `str`."""
    for entry in node.attribute:
        if entry.name == name:
            value = onnx.helper.get_attribute_value(entry)
            return value.decode() if isinstance(value, bytes) else value
    return default
