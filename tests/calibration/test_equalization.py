from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from small_graphs import graph, layers_of, node, table_of

from edge_sdk.calibration.equalization import equalize
from edge_sdk.converters.lowering import lowering
from edge_sdk.converters.reference import run_float32
from edge_sdk.converters.switchable import SwitchableNetwork
from edge_sdk.quantization_table import QuantizationTable

CHANNELS = 12


def uneven_model(depthwise: bool) -> onnx.ModelProto:
    """Channels from 0.05 to 30, which the layer behind makes even again."""
    rng = np.random.default_rng(0)
    spread = np.geomspace(0.05, 30, CHANNELS)
    reader = (CHANNELS, 1, 3, 3) if depthwise else (5, CHANNELS, 3, 3)
    along = spread.reshape((-1, 1, 1, 1) if depthwise else (1, -1, 1, 1))
    constants = {
        "w": rng.normal(0, 0.5, (CHANNELS, 3, 1, 1)) * spread.reshape(-1, 1, 1, 1),
        "b": rng.normal(0, 0.1, CHANNELS) * spread,
        "w2": rng.normal(0, 0.3, reader) / along,
    }
    groups = {"group": CHANNELS} if depthwise else {}
    return graph(
        [
            node("Conv", "x w b", "c"),
            node("Relu", "c", "r"),
            node("Conv", "r w2", "y", pads=[1] * 4, **groups),
        ],
        constants,
        ["y"],
        (1, 3, 16, 16),
    )


@pytest.fixture
def images() -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.normal(size=(1, 3, 16, 16)).astype(np.float32) for _ in range(3)]


def largest(model: onnx.ModelProto, images: list[np.ndarray]) -> QuantizationTable:
    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    exposed.graph.output.append(
        onnx.helper.make_tensor_value_info("r", onnx.TensorProto.FLOAT, None)
    )
    limit = max(float(run_float32(exposed, {"x": image}, ["r"])["r"].max()) for image in images)
    return table_of(model, {"x": 4.0, "r": limit})


def noise(model: onnx.ModelProto, table: QuantizationTable, images: list[np.ndarray]) -> float:
    """Decibels of the output in ONNX Runtime; the network in torch must find the same output."""
    lowered = lowering("onnxruntime")(model, table, layers_of(model))
    network = SwitchableNetwork(model, table, "onnxruntime")
    errors = powers = 0.0
    for image in images:
        exact, made = (run_float32(one, {"x": image}, ["y"])["y"] for one in (model, lowered))
        with torch.no_grad():
            (again,) = network(torch.from_numpy(image), layers_of(model))
        np.testing.assert_allclose(again.numpy(), made, atol=2e-2 * np.abs(made).max())
        errors += float(np.square(exact - made).sum())
        powers += float(np.square(exact).sum())
    return float(10 * np.log10(powers / errors))


@pytest.mark.parametrize(("depthwise", "gain"), [(True, 15), (False, 10)])
def test_channels_made_alike_lose_less(
    depthwise: bool, gain: float, images: list[np.ndarray]
) -> None:
    model = uneven_model(depthwise)
    table = largest(model, images)
    made = equalize(model, table, "onnxruntime", images)
    assert made.factors.keys() == {"r"}
    assert np.ptp(np.log(made.factors["r"])) > 1
    assert noise(model, made, images) > noise(model, table, images) + gain


def test_a_dead_channel_keeps_its_weights(images: list[np.ndarray]) -> None:
    model = uneven_model(depthwise=False)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    for name in ("w", "b"):
        value = onnx.numpy_helper.to_array(tensors[name]).copy()
        value[3] = 0
        tensors[name].CopyFrom(onnx.numpy_helper.from_array(value, name))
    made = equalize(model, largest(model, images), "openvino", images)
    assert made.factors["r"][3] == 1
    assert np.isfinite(made.factors["r"]).all()
    assert made.activations["r"].scale > 0


def test_ranges_of_channels_follow(images: list[np.ndarray]) -> None:
    model = uneven_model(depthwise=True)
    steps = np.geomspace(1e-4, 1e-1, CHANNELS).astype(np.float32)
    table = replace(largest(model, images), channels={"r": steps})
    made = equalize(model, table, "openvino", images)
    np.testing.assert_allclose(made.channels["r"] * made.factors["r"], steps, rtol=1e-5)


def test_what_held_for_other_weights_is_left_out(images: list[np.ndarray]) -> None:
    model = uneven_model(depthwise=False)
    table = replace(
        largest(model, images),
        biases={"b": np.ones(CHANNELS, np.float32)},
        rounded={"w": np.ones((CHANNELS, 3, 1, 1), np.int8)},
    )
    made = equalize(model, table, "openvino", images)
    assert (made.biases, made.rounded) == ({}, {})
