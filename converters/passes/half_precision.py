"""Float16 for the network, float32 for what decodes its outputs, and a Cast once where they meet.

Strongly typed engines compute in the types that the graph has. Float16 has 11 bits: enough for
features, of which int8 keeps 8, but half a pixel for a coordinate of 640. So the nodes in front
of the prediction convolutions, those included, run in float16; what stands behind them stays as
it was. Even there nothing that multiplies matrices runs in float32, which the tensor cores of a
T4 cannot do: those nodes run in float16 between two casts.

A tensor that crosses is cast once, whoever reads it. Of the inputs of a float16 node only the
scales of a Resize stay float32, as ONNX wants them.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge_sdk.converters.graph_index import GraphIndex, attribute, drop_unread
from edge_sdk.errors import EdgeError

_MULTIPLYING = frozenset({"Conv", "ConvTranspose", "MatMul", "Gemm", "Einsum"})
_QUANTIZING = frozenset({"QuantizeLinear", "DequantizeLinear"})
_STAY_FLOAT = {"Resize": (2,)}
_LARGEST = 65504.0


def half_precision(model: onnx.ModelProto, half: Collection[str]) -> onnx.ModelProto:
    """Return a copy in mixed types.

    Parameters
    ----------
    model : a float32 graph, with or without Q/DQ.
    half : the nodes to run in float16, by first output; Q, DQ and products run so anyway.

    Returns
    -------
    The model; its input is float16 where a float16 node reads it, its outputs have the type of
    the node that makes them.

    Raises
    ------
    EdgeError
        If a constant does not fit float16.
    """
    mixed = onnx.ModelProto()
    mixed.CopyFrom(model)
    _Conversion(mixed.graph, half, _float_tensors(model)).run()
    return mixed


class _Conversion:
    """One run over one graph."""

    def __init__(self, graph: onnx.GraphProto, half: Collection[str], floats: set[str]) -> None:
        self.graph = graph
        self.index = GraphIndex(graph)
        self.half = half
        self.floats = floats
        self.types: dict[str, int] = {}
        self.nodes: list[onnx.NodeProto] = []
        self.made: dict[str, onnx.TensorProto] = {}
        self.casts: dict[tuple[str, int], str] = {}

    def run(self) -> None:
        for value in self.graph.input:
            if any(map(self._is_half, self.index.consumers[value.name])):
                value.type.tensor_type.elem_type = TensorProto.FLOAT16
                self.types[value.name] = TensorProto.FLOAT16
        for node in self.graph.node:
            self._convert(node)
        for value in self.graph.output:
            if value.name in self.floats:
                kind = self.types.get(value.name, TensorProto.FLOAT)
                value.type.tensor_type.elem_type = kind
        del self.graph.node[:], self.graph.value_info[:]
        self.graph.node.extend(self.nodes)
        self.graph.initializer.extend(self.made.values())
        drop_unread(self.graph)

    def _is_half(self, node: onnx.NodeProto) -> bool:
        return (
            node.output[0] in self.half
            or node.op_type in _QUANTIZING
            or node.op_type in _MULTIPLYING
        )

    def _convert(self, node: onnx.NodeProto) -> None:
        if self.index.is_constant(node.output[0]):
            self.nodes.append(node)
            return
        kind = TensorProto.FLOAT16 if self._is_half(node) else TensorProto.FLOAT
        if node.op_type != "Cast":
            for place, name in enumerate(node.input):
                if name in self.floats and place not in _STAY_FLOAT.get(node.op_type, ()):
                    node.input[place] = self._as(name, kind)
        elif attribute(node, "to", 0) == TensorProto.FLOAT:
            del node.attribute[:]
            node.attribute.append(helper.make_attribute("to", kind))
        self.nodes.append(node)
        self.types.update((name, kind) for name in node.output if name in self.floats)

    def _as(self, name: str, kind: int) -> str:
        """Return the name of a tensor in a type, casting it if need be."""
        if self.types.get(name, TensorProto.FLOAT) == kind:
            return name
        suffix = "half" if kind == TensorProto.FLOAT16 else "float"
        cast = self.casts.setdefault((name, kind), f"{name}.{suffix}")
        if cast in self.types:
            return cast
        self.types[cast] = kind
        if self.index.is_constant(name):
            self.made[cast] = numpy_helper.from_array(_half(name, self.index.value(name)), cast)
        else:
            self.nodes.append(helper.make_node("Cast", [name], [cast], cast, to=kind))
        return cast


def _float_tensors(model: onnx.ModelProto) -> set[str]:
    """Return the names of all tensors that are float32."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    values = (*graph.input, *graph.value_info, *graph.output)
    names = {v.name for v in values if v.type.tensor_type.elem_type == TensorProto.FLOAT}
    return names | {t.name for t in graph.initializer if t.data_type == TensorProto.FLOAT}


def _half(name: str, value: np.ndarray) -> np.ndarray:
    if value.size and float(np.abs(value).max()) > _LARGEST:
        raise EdgeError(
            f"The constant {name} has values beyond {_LARGEST:.0f}, the largest of float16: "
            "TensorRT cannot run this model in float16."
        )
    return value.astype(np.float16)
