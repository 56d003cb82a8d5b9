from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from small_graphs import graph, layers_of, node, table_of

from edge_sdk.calibration.bias_correction import correct_biases
from edge_sdk.converters.switchable import SwitchableNetwork
from edge_sdk.quantization_table import QuantizationTable, WeightScale


@pytest.fixture
def model() -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    return graph(
        [
            node("Conv", "x w b", "c"),
            node("Relu", "c", "r"),
            node("Conv", "r w2", "d"),
            node("Conv", "d w3 b3", "y"),
        ],
        {
            "w": rng.normal(size=(6, 3, 1, 1)),
            "b": rng.normal(size=6),
            "w2": rng.normal(size=(5, 6, 1, 1)),
            "w3": rng.normal(size=(4, 5, 1, 1)),
            "b3": rng.normal(size=4),
        },
        ["y"],
        (1, 3, 8, 8),
    )


def coarse(model: onnx.ModelProto) -> QuantizationTable:
    """Five steps for the weights: their error shifts every mean."""
    table = table_of(model, {"x": 1.0, "r": 4.0, "d": 16.0})
    weights = {
        name: WeightScale(weight.axis, weight.scales * 50) for name, weight in table.weights.items()
    }
    return replace(table, weights=weights)


@pytest.mark.parametrize("target", ["openvino", "onnxruntime"])
def test_the_mean_of_every_layer_is_right_on_float_inputs(
    model: onnx.ModelProto, target: str
) -> None:
    rng = np.random.default_rng(1)
    images = [rng.uniform(0, 1, (1, 3, 8, 8)).astype(np.float32) for _ in range(3)]
    table = coarse(model)
    corrected = correct_biases(model, table, target, images)
    assert set(corrected.biases) == {"b", "b3"}  # the layer between has none

    def error(of: QuantizationTable, layer: str) -> float:
        """The largest error of the mean of a channel if nothing but that layer is INT8."""
        network = SwitchableNetwork(model, of, target)
        means = []
        with torch.no_grad():
            for image in images:
                runs = [
                    network.begin(torch.from_numpy(image), chosen)
                    for chosen in (frozenset(), frozenset({layer}))
                ]
                for number in range(len(network.steps)):
                    for run in runs:
                        run.step(number)
                means.append(
                    runs[0].tensors[layer].mean((0, 2, 3)) - runs[1].tensors[layer].mean((0, 2, 3))
                )
        return float(torch.stack(means).mean(0).abs().max())

    for layer in ("c", "y"):
        assert error(table, layer) > 0.01
        assert error(corrected, layer) < 1e-5


def test_it_does_not_build_on_an_earlier_correction(model: onnx.ModelProto) -> None:
    images = [np.random.default_rng(2).uniform(0, 1, (1, 3, 8, 8)).astype(np.float32)]
    once = correct_biases(model, coarse(model), "openvino", images)
    twice = correct_biases(model, once, "openvino", images)
    for name, bias in once.biases.items():
        np.testing.assert_array_equal(twice.biases[name], bias)


def test_float_layers_keep_their_bias(model: onnx.ModelProto) -> None:
    images = [np.random.default_rng(2).uniform(0, 1, (1, 3, 8, 8)).astype(np.float32)]
    corrected = correct_biases(model, coarse(model), "openvino", images)
    network = SwitchableNetwork(model, corrected, "openvino")
    plain = SwitchableNetwork(model, coarse(model), "openvino")
    x = torch.from_numpy(images[0])
    with torch.no_grad():
        assert torch.equal(network(x, frozenset())[0], plain(x, frozenset())[0])
        assert not torch.equal(network(x, layers_of(model))[0], plain(x, layers_of(model))[0])
