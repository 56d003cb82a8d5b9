from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edge_sdk.calibration import sensitivity
from edge_sdk.calibration.sensitivity import Sensitivity, ShiftBench, measure_sensitivity
from edge_sdk.calibration.shift import LARGEST_SQNR, mean_shift
from edge_sdk.converters.layer_groups import layer_groups
from edge_sdk.converters.model_file import load_model
from edge_sdk.converters.quantization_points import quantization_points
from edge_sdk.converters.switchable import SwitchableNetwork
from edge_sdk.converters.weight_scales import weight_scales
from edge_sdk.errors import EdgeError
from edge_sdk.quantization_table import ActivationScale, QuantizationTable


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> onnx.ModelProto:
    model = load_model(tiny_model)
    for node in model.graph.node:
        node.name = node.output[0]
    return model


@pytest.fixture(scope="module")
def table(model: onnx.ModelProto) -> QuantizationTable:
    points = quantization_points(model)
    scales = {
        name: ActivationScale(4.0 / 127, signed, "max")
        for name, signed in points.activations.items()
    }
    return QuantizationTable("key", scales, weight_scales(model, points.weights, scales))


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.uniform(0, 1, (1, 3, 96, 128)).astype(np.float32) for _ in range(3)]


def test_every_group_in_both_directions(
    model: onnx.ModelProto, table: QuantizationTable, images: list[np.ndarray], tmp_path: Path
) -> None:
    """What the reruns found is what whole runs find."""
    found = measure_sensitivity(model, table, "openvino", images, tmp_path / "s.json", limit=2)
    groups = {group.name: frozenset(group.layers) for group in layer_groups(model)}
    assert found.groups == tuple(groups)
    assert len(found.images) == 2
    network = SwitchableNetwork(model, table, "openvino")
    bench = ShiftBench(model, network)
    chosen = sensitivity._chosen(images, 2, 0).values()
    everything = frozenset().union(*groups.values())

    def whole(layers: frozenset[str]) -> Any:
        runs = []
        for image in chosen:
            bench.start(image)
            runs.append(bench.shift(bench.base(image, layers), network.wiring(layers)))
        return mean_shift(runs)

    for name, layers in groups.items():
        assert found.alone[name] == whole(layers)
        assert found.without[name] == whole(everything - layers)
    assert found.all_int8 == whole(everything)
    assert found.all_int8.loss > 0
    assert whole(frozenset()).sqnr == LARGEST_SQNR


def test_the_first_layer_costs_more_than_a_prediction(
    model: onnx.ModelProto, table: QuantizationTable, images: list[np.ndarray], tmp_path: Path
) -> None:
    """With a range that clips the images to a tenth."""
    clipped = {**table.activations, "images": ActivationScale(0.1 / 127, False, "max")}
    bad = QuantizationTable("key", clipped, table.weights)
    found = measure_sensitivity(model, bad, "openvino", images, tmp_path / "s.json", limit=1)
    losses = {name: shift.loss for name, shift in found.alone.items()}
    first = found.groups[0]
    assert max(losses, key=losses.__getitem__) == first
    assert found.without[first].loss < 0.5 * found.all_int8.loss


def test_it_goes_on_where_it_stopped(
    model: onnx.ModelProto,
    table: QuantizationTable,
    images: list[np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "s.json"
    whole = measure_sensitivity(model, table, "openvino", images, tmp_path / "whole.json")
    rows = sensitivity._row
    measured = []

    def interrupted(*arguments: Any) -> Any:
        measured.append(1)
        if len(measured) == 2:
            raise KeyboardInterrupt
        return rows(*arguments)

    monkeypatch.setattr(sensitivity, "_row", interrupted)
    with pytest.raises(KeyboardInterrupt):
        measure_sensitivity(model, table, "openvino", images, path)
    assert measure_sensitivity(model, table, "openvino", images, path) == whole
    assert len(measured) == 4  # one, the interrupted one, and the two that were left
    measure_sensitivity(model, table, "openvino", images, path)
    assert len(measured) == 4
    measure_sensitivity(model, table, "onnxruntime", images, path)
    assert len(measured) == 7


def test_the_file_comes_back_and_a_damaged_one_is_named(
    model: onnx.ModelProto, table: QuantizationTable, images: list[np.ndarray], tmp_path: Path
) -> None:
    path = tmp_path / "s.json"
    found = measure_sensitivity(model, table, "openvino", images, path, limit=1)
    assert Sensitivity.load(path) == found
    values = json.loads(path.read_text())
    del next(iter(values["rows"].values()))["all"]
    path.write_text(json.dumps(values))
    with pytest.raises(EdgeError, match=r"s\.json is no sensitivity analysis"):
        Sensitivity.load(path)
    with pytest.raises(EdgeError, match=r"Cannot read .*none\.json"):
        Sensitivity.load(tmp_path / "none.json")


def test_no_image_is_refused(
    model: onnx.ModelProto, table: QuantizationTable, tmp_path: Path
) -> None:
    with pytest.raises(EdgeError, match="at least one image"):
        measure_sensitivity(model, table, "openvino", [], tmp_path / "s.json")


def test_one_image_given_twice_counts_once(
    model: onnx.ModelProto, table: QuantizationTable, images: list[np.ndarray], tmp_path: Path
) -> None:
    found = measure_sensitivity(
        model, table, "openvino", [images[0], images[0].copy()], tmp_path / "s.json"
    )
    assert len(found.images) == 1


def test_labels_are_looked_at_and_are_part_of_the_key(
    model: onnx.ModelProto, table: QuantizationTable, images: list[np.ndarray], tmp_path: Path
) -> None:
    plain = measure_sensitivity(model, table, "openvino", images, tmp_path / "s.json", limit=1)
    objects = [np.array([[10, 10, 60, 60]], np.float32) for _ in images]
    seen = measure_sensitivity(
        model, table, "openvino", images, tmp_path / "s.json", limit=1, objects=objects
    )
    assert seen.images == plain.images
    assert seen.all_int8 != plain.all_int8
    elsewhere = [boxes + 40 for boxes in objects]
    other = measure_sensitivity(
        model, table, "openvino", images, tmp_path / "s.json", limit=1, objects=elsewhere
    )
    assert other.all_int8 != seen.all_int8
