from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from small_graphs import graph, node, table_of

from edge_sdk.calibration.rounding import learn_rounding
from edge_sdk.converters.switchable import SwitchableNetwork
from edge_sdk.errors import EdgeError
from edge_sdk.quantization_table import QuantizationTable, WeightScale


def coarse_model() -> tuple[onnx.ModelProto, QuantizationTable]:
    """Inputs that are all alike: what counts is the error of the sum of the weights."""
    rng = np.random.default_rng(0)
    model = graph(
        [node("Conv", "x w b", "c", pads=[1, 1, 1, 1]), node("Relu", "c", "r"),
         node("Conv", "r w2", "y")],
        {"w": rng.normal(size=(6, 8, 3, 3)), "b": rng.normal(size=6),
         "w2": rng.normal(size=(4, 6, 1, 1))},
        ["y"],
        (1, 8, 12, 12),
    )  # fmt: skip
    table = table_of(model, {"x": 1.2, "r": 30.0})
    weights = {
        name: WeightScale(weight.axis, weight.scales * 20) for name, weight in table.weights.items()
    }
    return model, replace(table, weights=weights)


def pictures(seed: int, count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [(1 + 0.1 * rng.normal(size=(1, 8, 12, 12))).astype(np.float32) for _ in range(count)]


def error(model: onnx.ModelProto, table: QuantizationTable, layer: str) -> float:
    """Squared error of the outputs if only that layer is INT8."""
    network = SwitchableNetwork(model, table, "openvino")
    total = 0.0
    with torch.no_grad():
        for image in map(torch.from_numpy, pictures(7, 4)):
            (exact,), (rounded,) = (
                network(image, layers) for layers in (frozenset(), frozenset({layer}))
            )
            total += float((exact - rounded).square().sum())
    return total


def test_learned_rounding_is_better_on_new_images() -> None:
    model, table = coarse_model()
    learned = learn_rounding(model, table, "openvino", pictures(1, 6), iterations=100)
    weights = {
        tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer
    }
    steps = learned.rounded["w2"] - weights["w2"] / table.weights["w2"].scales[:, None, None, None]
    assert 0.5 < np.abs(steps).max() < 1  # the step below or above, and not always the nearest
    assert error(model, learned, "y") < 0.8 * error(model, table, "y")


def test_the_same_seed_learns_the_same() -> None:
    model, table = coarse_model()
    once, twice = (
        learn_rounding(model, table, "openvino", pictures(1, 4), iterations=5) for _ in range(2)
    )
    assert once.rounded.keys() == twice.rounded.keys()
    for name, integers in once.rounded.items():
        np.testing.assert_array_equal(integers, twice.rounded[name])


def test_one_image_is_too_few() -> None:
    model, table = coarse_model()
    with pytest.raises(EdgeError, match="at least two images"):
        learn_rounding(model, table, "openvino", pictures(1, 1))
