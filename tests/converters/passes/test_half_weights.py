from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge_sdk.converters.passes.half_weights import half_weights
from edge_sdk.errors import EdgeError


def convolution(weight: np.ndarray) -> onnx.ModelProto:
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, len(weight), 8, 8])],
        [numpy_helper.from_array(weight, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)


def run(model: onnx.ModelProto, image: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"x": image})[0]


def test_half_the_size_and_the_output_of_rounded_weights() -> None:
    random = np.random.default_rng(0)
    weight = random.normal(size=(16, 3, 3, 3)).astype(np.float32)
    image = random.normal(size=(1, 3, 8, 8)).astype(np.float32)
    stored = half_weights(convolution(weight))
    assert len(stored.graph.initializer[0].raw_data) == weight.size * 2
    rounded = convolution(weight.astype(np.float16).astype(np.float32))
    np.testing.assert_array_equal(run(stored, image), run(rounded, image))


def test_a_weight_that_does_not_fit_is_named() -> None:
    with pytest.raises(EdgeError, match="The weight w has values beyond 65504"):
        half_weights(convolution(np.full((1, 3, 3, 3), 1e5, np.float32)))
