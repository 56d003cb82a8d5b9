"""Depthwise convolutions whose input channels differ by orders of magnitude."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from small_graphs import graph, layers_of, node, run_openvino, table_of

from edge_sdk.calibration.observers import Histogram
from edge_sdk.calibration.ranges import LEAST_CHANNEL, channel_steps
from edge_sdk.converters.lowering import channel_ranges, lowering
from edge_sdk.converters.lowering.cpu import channel_grid, cpu_grid
from edge_sdk.converters.quantization_points import quantization_points
from edge_sdk.converters.reference import run_float32
from edge_sdk.quantization_table import ActivationScale, QuantizationTable

CHANNELS = 16
SPREAD = np.geomspace(0.05, 100, CHANNELS)


def uneven_model(*readers: str) -> onnx.ModelProto:
    """A layer whose channels reach from 0.05 to 100, and depthwise ones that make them even."""
    rng = np.random.default_rng(0)
    spread = SPREAD.reshape(-1, 1, 1, 1)
    constants = {"w": rng.normal(0, 0.3, (CHANNELS, 3, 1, 1)) * spread}
    nodes = [node("Conv", "x w", "c"), node("Relu", "c", "r")]
    for name in readers:
        constants[f"{name}.w"] = rng.normal(0, 0.3, (CHANNELS, 1, 3, 3)) / spread
        constants[f"{name}.b"] = rng.normal(0, 0.3, CHANNELS)
        nodes += [
            node("Conv", f"r {name}.w {name}.b", name, group=CHANNELS, pads=[1] * 4),
            node("Relu", name, f"{name}.r"),
        ]
    constants["end"] = rng.normal(0, 0.3, (4, CHANNELS, 1, 1))
    nodes += [node("Conv", f"{name}.r end", f"{name}.y") for name in readers]
    return graph(nodes, constants, [f"{name}.y" for name in readers], (1, 3, 16, 16))


def image() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(1, 3, 16, 16)).astype(np.float32)


def uneven_table(model: onnx.ModelProto) -> QuantizationTable:
    """What calibration on the image would make of it."""
    points = quantization_points(model)
    names = [name for name in points.activations if name != "x"]
    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    exposed.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names
    )
    found = run_float32(exposed, {"x": image()}, names)
    limits = {name: float(np.abs(value).max()) for name, value in found.items()}
    table = table_of(model, {**limits, "x": float(np.abs(image()).max())})
    channels = {}
    for name, count in points.channels.items():
        histogram = Histogram(False, peaks=np.zeros(count, np.float32))
        histogram.add(found[name])
        channels[name] = channel_steps(histogram)
    return replace(table, channels=channels)


def signal_to_noise(model: onnx.ModelProto, table: QuantizationTable, folder: Path) -> float:
    exact = run_float32(model, {"x": image()}, [output.name for output in model.graph.output])
    lowered = lowering("openvino")(model, table, layers_of(model))
    made = run_openvino(lowered, image(), folder)
    errors = [np.square(a - b).sum() for a, b in zip(exact.values(), made, strict=True)]
    powers = [np.square(a).sum() for a in exact.values()]
    return float(10 * np.log10(sum(powers) / sum(errors)))


@pytest.mark.parametrize("readers", [("d",), ("d", "e")])
def test_no_channel_is_lost_beside_a_larger_one(readers: tuple[str, ...], tmp_path: Path) -> None:
    model = uneven_model(*readers)
    table = uneven_table(model)
    assert signal_to_noise(model, replace(table, channels={}), tmp_path) < 20
    assert signal_to_noise(model, table, tmp_path) > 33


@pytest.mark.parametrize("readers", [("d",), ("d", "e")])
def test_openvino_runs_every_layer_on_integers(readers: tuple[str, ...], tmp_path: Path) -> None:
    import openvino

    model = uneven_model(*readers)
    onnx.save(
        lowering("openvino")(model, uneven_table(model), layers_of(model)), tmp_path / "m.onnx"
    )
    compiled = openvino.Core().compile_model(tmp_path / "m.onnx", "CPU")
    kinds = [
        operation.get_rt_info()["runtimePrecision"]
        for operation in compiled.get_runtime_model().get_ordered_ops()
        if operation.get_rt_info()["layerType"] == "Convolution"
    ]
    assert len(kinds) == 1 + 2 * len(readers)
    assert set(kinds[1:]) == {"u8"}  # the first reads the picture, which is signed here


def test_only_what_depthwise_convolutions_read_has_ranges_for_its_channels() -> None:
    assert quantization_points(uneven_model("d", "e")).channels == {"r": CHANNELS}
    model = uneven_model("d")
    for extra, expected in (
        ([node("Add", "r r", "sum"), node("Conv", "sum end", "z")], {}),  # the Add adds integers
        ([node("Conv", "r end", "z")], {}),
        ([node("Sigmoid", "r", "z")], {"r": CHANNELS}),  # reads it in float
    ):
        other = onnx.ModelProto()
        other.CopyFrom(model)
        other.graph.node.extend(extra)
        assert quantization_points(other).channels == expected


def test_a_tensor_that_integers_are_moved_into_has_one_range() -> None:
    depth = {"w": np.ones((4, 1, 1, 1)), "p": np.ones((4, 4, 1, 1))}
    nodes = [
        node("MaxPool", "x", "pool", kernel_shape=[2, 2]),
        node("Conv", "pool w", "d", group=4),
        node("Conv", "d p", "y"),
    ]
    assert quantization_points(graph(nodes, depth, ["y"], (1, 4, 8, 8))).channels == {}


def test_other_targets_keep_one_range_a_tensor() -> None:
    model = uneven_model("d")
    table = uneven_table(model)
    for target in ("onnxruntime", "tensorrt"):
        simulate = lowering(target) if target == "onnxruntime" else _simulate
        lowered = simulate(model, table, layers_of(model))
        assert lowered == simulate(model, replace(table, channels={}), layers_of(model))


def _simulate(*arguments: object) -> onnx.ModelProto:
    from edge_sdk.converters.lowering import simulation

    made: onnx.ModelProto = simulation("tensorrt")[0](*arguments)
    return made


@pytest.mark.parametrize(
    ("target", "count"), [("openvino", 1), ("onnxruntime", 0), ("tensorrt", 0)]
)
def test_a_bundle_can_say_how_many_tensors_have_them(target: str, count: int) -> None:
    model = uneven_model("d")
    table = uneven_table(model)
    assert channel_ranges(target, model, table, layers_of(model)) == count
    assert channel_ranges(target, model, table, frozenset({"c"})) == 0


def test_a_channel_has_the_smaller_of_its_range_and_the_tensors() -> None:
    entry = ActivationScale(1.0, True, "mse")
    grid = channel_grid(entry, np.array([0.5, 4.0], np.float32), -0.2785)
    assert grid.channels == tuple(
        (one.scale, one.zero_point)
        for one in (cpu_grid(replace(entry, scale=0.5), -0.2785), cpu_grid(entry, -0.2785))
    )
    assert (grid.scale, grid.zero_point) == grid.channels[1]


def test_a_dead_channel_keeps_a_thousandth_of_the_widest_range() -> None:
    histogram = Histogram(False, peaks=np.zeros(3, np.float32))
    histogram.add(np.array([0.0, 127.0, 12.7], np.float32).reshape(1, 3, 1, 1))
    np.testing.assert_allclose(channel_steps(histogram), [LEAST_CHANNEL, 1.0, 0.1], rtol=1e-6)
    dead = Histogram(False, peaks=np.zeros(2, np.float32))
    assert (channel_steps(dead) > 0).all()


def test_the_bias_of_a_narrow_channel_fits_its_integers() -> None:
    model = uneven_model("d")
    bias = next(t for t in model.graph.initializer if t.name == "d.b")
    bias.CopyFrom(numpy_helper.from_array(np.full(CHANNELS, 1e6, np.float32), "d.b"))
    lowered = lowering("openvino")(model, uneven_table(model), layers_of(model))
    values = {t.name: numpy_helper.to_array(t) for t in lowered.graph.initializer}
    steps = 1e6 / (values["r.scale"].astype(np.float64) * values["d.w.scale"])
    assert steps.max() <= 2**30 * 1.001
