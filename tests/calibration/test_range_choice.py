"""A network in which the least squared error is wrong for one tensor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edge_sdk.calibration import Calibration
from edge_sdk.calibration.observers import Histogram
from edge_sdk.calibration.range_choice import choose_ranges
from edge_sdk.converters.model_file import load_model, model_key
from edge_sdk.converters.quantization_points import quantization_points
from edge_sdk.converters.reference import run_float32


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> onnx.ModelProto:
    """One channel of the first tensor flares up where a pixel is bright, and nothing reads it."""
    model = load_model(tiny_model)
    for node in model.graph.node:
        node.name = node.output[0]
    for number, tensor in enumerate(model.graph.initializer):
        value = numpy_helper.to_array(tensor).copy()
        if tensor.name == "c2.w":
            value[0] = 0.0
            value[0, 0, 1, 1] = 1000.0
        if tensor.name == "c2.b":
            value[0] = -900.0
        if tensor.name == "c4.w":
            value[:, 0] = 0.0
        model.graph.initializer[number].CopyFrom(numpy_helper.from_array(value, tensor.name))
    return model


def test_a_tensor_gets_the_method_that_its_network_wants(model: onnx.ModelProto) -> None:
    rng = np.random.default_rng(0)
    images = [rng.uniform(0, 0.8, (1, 3, 96, 128)).astype(np.float32) for _ in range(2)]
    for image in images:
        image[0, 0, 20, 30] = 1.0
    points = quantization_points(model).activations
    histograms = {name: Histogram(signed) for name, signed in points.items()}
    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    inner = [name for name in points if name != "images"]
    exposed.graph.output.extend(
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in inner
    )
    for image in images:
        histograms["images"].add(image)
        for name, value in run_float32(exposed, {"images": image}, inner).items():
            histograms[name].add(value)
    calibration = Calibration(model_key(model), "{}", (), histograms)
    plain = calibration.quantization_table(model)
    chosen = choose_ranges(model, calibration, "openvino", images)
    assert {entry.method for entry in plain.activations.values()} == {"mse"}
    assert chosen.activations["r2"].method != "mse"
    assert chosen.activations["r2"].scale < 0.5 * plain.activations["r2"].scale
    assert list(chosen.activations) == list(plain.activations)
