"""Small graphs in float16 and int8, as TensorRT wants them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def typed_graph(
    nodes: list[onnx.NodeProto], constants: dict[str, Any], **options: Any
) -> onnx.ModelProto:
    """A graph of float16 from "x" [1, 32, 16, 16] to "y"; `kind` for another type."""
    kind = options.get("kind", TensorProto.FLOAT16)
    made = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", kind, options.get("shape", [1, 32, 16, 16]))],
        [helper.make_tensor_value_info("y", kind, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)


def pair(source: str, target: str) -> list[onnx.NodeProto]:
    """Q and DQ."""
    between = f"{target}.q"
    return [
        helper.make_node("QuantizeLinear", [source, "s", "z"], [between], f"{target}.quantize"),
        helper.make_node("DequantizeLinear", [between, "s", "z"], [target], f"{target}.dequantize"),
    ]


def layer(
    source: str, target: str, *, axis: int = 0, kind: str = "Conv", **attributes: Any
) -> list[onnx.NodeProto]:
    """A convolution with dequantized weights "w", named after its output."""
    weight = f"{target}.w"
    return [
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], [weight], weight, axis=axis),
        helper.make_node(kind, [source, weight], [target], target, **attributes),
    ]


GRIDS = {
    "s": np.float16(0.1), "z": np.int8(0), "ws": np.full(32, 0.01, np.float16),
    "wz": np.zeros(32, np.int8),
    "w": np.random.default_rng(0).integers(-127, 128, (32, 32, 2, 2)).astype(np.int8),
}  # fmt: skip
"""One grid for all tensors, one for all weights."""
