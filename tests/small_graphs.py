"""Small float graphs with known values, and how to run them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge_sdk.converters.quantization_points import quantization_points
from edge_sdk.quantization_table import ActivationScale, QuantizationTable, WeightScale

Array = np.ndarray[Any, Any]


def graph(
    nodes: Sequence[onnx.NodeProto],
    constants: Mapping[str, Array],
    outputs: Sequence[str],
    shape: Sequence[int | str] = (1, 1, 4, 4),
) -> onnx.ModelProto:
    """A float graph with the input "x"; every constant is float32 unless it is int64."""
    tensors = [
        numpy_helper.from_array(
            value if value.dtype == np.int64 else value.astype(np.float32), name
        )
        for name, value in constants.items()
    ]
    made = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * 4) for name in outputs],
        tensors,
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)


def node(kind: str, inputs: str, output: str, **attributes: Any) -> onnx.NodeProto:
    """A node named after its output; `inputs` are separated by blanks."""
    return helper.make_node(kind, inputs.split(), [output], output, **attributes)


def table_of(model: onnx.ModelProto, limits: Mapping[str, float]) -> QuantizationTable:
    """A table with the given limits (1.0 elsewhere) and weights up to their maxima."""
    points = quantization_points(model)
    activations = {
        name: ActivationScale(limits.get(name, 1.0) / 127, signed, "max")
        for name, signed in points.activations.items()
    }
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    weights = {}
    for name, axis in points.weights.items():
        others = tuple(i for i in range(values[name].ndim) if i != axis)
        scales = np.maximum(np.abs(values[name]).max(axis=others) / 127, 1e-12)
        weights[name] = WeightScale(axis, scales.astype(np.float32))
    return QuantizationTable("key", activations, weights)


def layers_of(model: onnx.ModelProto) -> frozenset[str]:
    """The names of all convolutions."""
    return frozenset(n.name for n in model.graph.node if n.op_type in ("Conv", "ConvTranspose"))


def run_onnxruntime(model: onnx.ModelProto, x: Array) -> list[Array]:
    """The outputs in ONNX Runtime with all its optimizations."""
    import onnxruntime

    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return list(session.run(None, {"x": x.astype(np.float32)}))


def run_openvino(model: onnx.ModelProto, x: Array, folder: Path) -> list[Array]:
    """The outputs in OpenVINO."""
    import openvino

    onnx.save(model, folder / "run.onnx")
    compiled = openvino.Core().compile_model(
        folder / "run.onnx", "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    return [np.array(value) for value in compiled(x.astype(np.float32)).values()]
