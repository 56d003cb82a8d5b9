"""A network in which the least squared error is wrong for one tensor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edge_sdk.calibration import Calibration
from edge_sdk.calibration.observers import Histogram
from edge_sdk.calibration.range_choice import METHODS, _best, choose_ranges
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
    plain = calibration.quantization_table(model, "openvino")
    assert {entry.method for entry in plain.activations.values()} == {"mse"}
    for shown in (images, images[:1]):
        method, chosen = choose_ranges(model, calibration, "openvino", shown)
        # One image does not prove that another method is better for the whole network.
        assert (method == "mse") == (len(shown) == 1)
        assert chosen.activations["r2"].method != "mse"
        assert chosen.activations["r2"].scale < 0.5 * plain.activations["r2"].scale
        assert list(chosen.activations) == list(plain.activations)


@pytest.mark.parametrize(
    ("worse_by", "best"),
    [
        ([0.0, -0.2, 0.1, -0.1], "entropy"),
        ([0.0, 0.2, 0.1, 0.1], "mse"),
        ([0.0, 0.1, 0.1, -0.2], "max"),
    ],
)
def test_another_method_for_all_must_be_better_by_more_than_chance(
    worse_by: list[float], best: str
) -> None:
    rng = np.random.default_rng(0)
    images = rng.uniform(1, 2, 8)
    noise = rng.normal(0, 1, (4, 8))
    for spread, expected in ((0.05, best), (3.0, "mse")):
        losses = images + np.array(worse_by)[:, None] + spread * noise
        assert METHODS[_best(losses)] == expected
