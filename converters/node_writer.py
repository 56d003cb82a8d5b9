"""Appending nodes and constants to a graph, each under a name of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper


class NodeWriter:
    """Writes behind the last node of a graph.

    Parameters
    ----------
    graph : changed in place.
    prefix : what the names of all that is written begin with, before a dot.
    """

    def __init__(self, graph: onnx.GraphProto, prefix: str) -> None:
        self.graph = graph
        self._prefix = prefix
        self._number = 0

    def constant(self, value: npt.NDArray[Any]) -> str:
        """Add a constant; return its name."""
        self._number += 1
        name = f"{self._prefix}.constant{self._number}"
        self.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        """Append a node with one output; return the output's name."""
        return self.nodes(kind, inputs, 1, **attributes)[0]

    def nodes(self, kind: str, inputs: list[str], outputs: int, **attributes: Any) -> list[str]:
        """Append a node; return the names of its outputs."""
        self._number += 1
        name = f"{self._prefix}.{kind}{self._number}"
        names = [f"{name}.{place}" for place in range(outputs)]
        self.graph.node.append(helper.make_node(kind, inputs, names, name, **attributes))
        return names

    def take(self, tensor: str, places: str, channels: int) -> str:
        """Return the columns [B, channels, K] of [B, channels, N] at places [B, K]."""
        index = self.node("Unsqueeze", [places, self.constant(np.array([1]))])
        index = self.node("Expand", [index, self.constant(np.array([1, channels, 1]))])
        return self.node("GatherElements", [tensor, index], axis=2)
