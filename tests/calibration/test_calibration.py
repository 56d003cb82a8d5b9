from __future__ import annotations

import io
import json
import math
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edge_sdk.calibration import Calibration, calibrate
from edge_sdk.calibration.observers import Histogram, merged
from edge_sdk.calibration.ranges import grid_step
from edge_sdk.converters.model_file import model_key
from edge_sdk.converters.quantization_points import quantization_points
from edge_sdk.errors import EdgeError
from edge_sdk.quantization_table import STEPS, QuantizationTable


@pytest.fixture
def calibration(model_path: Path, folder: Path, tmp_path: Path) -> Calibration:
    return calibrate(model_path, folder, tmp_path / "model.calib", limit=4)


@pytest.mark.parametrize("method", ["mse", "max", "percentile", "entropy"])
def test_the_table_has_every_point_and_weight(
    calibration: Calibration, network: onnx.ModelProto, method: str, tmp_path: Path
) -> None:
    table = calibration.quantization_table(network, "tensorrt", method)
    points = quantization_points(network)
    assert list(table.activations) == list(points.activations)
    assert {scale.method for scale in table.activations.values()} == {method}
    assert all(scale.scale > 0 for scale in table.activations.values())
    assert {name: weight.axis for name, weight in table.weights.items()} == points.weights
    table.save(tmp_path / "quant.json")
    loaded = QuantizationTable.load(tmp_path / "quant.json")
    assert loaded.activations == table.activations
    assert table.model_key == model_key(network)


def test_max_keeps_the_largest_value(calibration: Calibration, network: onnx.ModelProto) -> None:
    table = calibration.quantization_table(network, "tensorrt", "max")
    assert table.activations["images"].scale * STEPS == calibration.histograms["images"].maximum


def test_a_finer_grid_clips_less(calibration: Calibration, network: onnx.ModelProto) -> None:
    """A CPU has 255 steps behind ReLU, TensorRT 127; both have 127 behind a convolution."""
    cpu, gpu = (
        calibration.quantization_table(network, target).activations
        for target in ("openvino", "tensorrt")
    )
    bounds = quantization_points(network).lower_bounds
    signed = [name for name, bound in bounds.items() if bound == -math.inf]
    assert cpu["relu"].limit > gpu["relu"].limit
    assert all(cpu[name].limit == gpu[name].limit for name in signed)


def test_a_required_group_has_one_scale_and_sign(
    calibration: Calibration, network: onnx.ModelProto
) -> None:
    assert ("joined", "pooled") in quantization_points(network).scale_groups
    scales = calibration.quantization_table(network, "tensorrt").activations
    assert scales["joined"] == scales["pooled"]
    own = grid_step(merged([calibration.histograms["pooled"]]), "mse")
    assert scales["pooled"].scale != own


def test_biases_fit_their_integers(model_path: Path, folder: Path, tmp_path: Path) -> None:
    model = onnx.load(model_path)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    weight = numpy_helper.to_array(tensors["plain.weight"]).copy()
    weight[2] *= 1e-13
    tensors["plain.weight"].CopyFrom(numpy_helper.from_array(weight, "plain.weight"))
    onnx.save(model, model_path)
    calibration = calibrate(model_path, folder, tmp_path / "model.calib")
    table = calibration.quantization_table(model, "tensorrt")
    scales = table.weights["plain.weight"].scales.astype(np.float64)
    bias = numpy_helper.to_array(tensors["plain.bias"])
    steps = np.abs(bias) / (table.activations["relu"].scale * scales)
    assert steps.max() <= 2**30 + 128
    assert steps[2] == pytest.approx(2**30)


def depthwise(path: Path) -> onnx.ModelProto:
    """Make the layer "plain" depthwise, and the only one that reads "relu"."""
    model = onnx.load(path)
    (plain,) = (n for n in model.graph.node if n.name == "plain")
    plain.attribute.append(onnx.helper.make_attribute("group", 4))
    (weight,) = (t for t in model.graph.initializer if t.name == "plain.weight")
    value = numpy_helper.to_array(weight)[:, :1]
    weight.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(value), weight.name))
    (joined,) = (n for n in model.graph.node if n.op_type == "Concat")
    joined.input[0] = "plain"
    onnx.save(model, path)
    return model


def test_channels_that_stay_apart_have_steps_of_their_own(
    model_path: Path, folder: Path, tmp_path: Path
) -> None:
    model = depthwise(model_path)
    calibration = calibrate(model_path, folder, tmp_path / "model.calib", limit=4)
    again = Calibration.load(tmp_path / "model.calib")
    (steps,) = calibration.quantization_table(model, "openvino").channels.values()
    kept = again.quantization_table(model, "openvino").channels["relu"]
    np.testing.assert_array_equal(kept, steps)
    peaks = calibration.histograms["relu"].peaks
    assert peaks.max() == np.float32(calibration.histograms["relu"].largest)
    np.testing.assert_allclose(steps * STEPS, np.maximum(peaks, peaks.max() / 1024), rtol=1e-6)


def test_a_calibration_without_channels_is_made_again(
    model_path: Path, folder: Path, tmp_path: Path
) -> None:
    """As versions wrote it that did not keep them."""
    model = depthwise(model_path)
    path = tmp_path / "model.calib"
    calibrate(model_path, folder, path, limit=4)
    altered(path, "no peaks")
    with pytest.raises(EdgeError, match="another version of Edge SDK"):
        Calibration.load(path).quantization_table(model, "openvino")
    again = calibrate(model_path, folder, path, limit=4)
    assert again.reused == 0
    assert Calibration.load(path).quantization_table(model, "openvino").channels


def test_another_model_is_refused(calibration: Calibration, network: onnx.ModelProto) -> None:
    network.graph.node[1].op_type = "Abs"
    with pytest.raises(EdgeError, match="another model"):
        calibration.quantization_table(network, "tensorrt")


def test_an_unknown_method_is_refused(calibration: Calibration, network: onnx.ModelProto) -> None:
    with pytest.raises(EdgeError, match="'best'"):
        calibration.quantization_table(network, "tensorrt", "best")


def test_the_key_does_not_depend_on_the_order_of_images() -> None:
    histograms = {"x": Histogram(signed=True)}
    one = Calibration("model", "{}", ("a", "b"), histograms)
    other = Calibration("model", "{}", ("b", "a"), histograms)
    assert one.key == other.key
    assert one.key != Calibration("model", "{}", ("a",), histograms).key


def test_the_same_calibration_gives_the_same_bytes(
    calibration: Calibration, tmp_path: Path
) -> None:
    calibration.save(tmp_path / "one")
    calibration.save(tmp_path / "other")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def altered(path: Path, change: str) -> None:
    """Write the file again with one thing wrong in it."""
    with np.load(path) as arrays:
        header, counts = json.loads(arrays["header"].tobytes()), arrays["counts"]
    if change == "schema":
        header["schema"] = 99
    elif change == "missing field":
        del header["tensors"][0]["zeros"]
    elif change == "too few counts":
        counts = counts[:-1]
    elif change == "negative count":
        counts[0] = -1
    elif change == "wrong type":
        counts = counts.astype(np.float32)
    elif change == "not finite":
        header["tensors"][0]["maximum"] = float("nan")
    elif change == "other width":
        header["tensors"][0]["exponent"] += 1
    elif change == "no peaks":
        for tensor in header["tensors"]:
            del tensor["peaks"]
    elif change == "objects":
        counts = np.array([{"a": 1}], dtype=object)
    with open(path, "wb") as file:
        np.savez(file, header=np.frombuffer(json.dumps(header).encode(), np.uint8), counts=counts)


@pytest.mark.parametrize(
    "change",
    ["schema", "missing field", "too few counts", "negative count", "wrong type", "not finite",
     "other width", "objects"],
)  # fmt: skip
def test_a_file_with_an_error_is_refused(
    calibration: Calibration, tmp_path: Path, change: str
) -> None:
    path = tmp_path / "model.calib"
    altered(path, change)
    with pytest.raises(EdgeError, match=r"model\.calib is not a calibration"):
        Calibration.load(path)


def other_zip() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        file.writestr("a.txt", "text")
    return data.getvalue()


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04", other_zip()])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.calib"
    path.write_bytes(content)
    with pytest.raises(EdgeError, match=r"model\.calib is not a calibration"):
        Calibration.load(path)


def test_every_damaged_byte_is_noticed_or_harmless(
    calibration: Calibration, tmp_path: Path
) -> None:
    path = tmp_path / "model.calib"
    data = path.read_bytes()
    for position in np.random.default_rng(0).integers(0, len(data), 60):
        broken = bytearray(data)
        broken[position] ^= 0x55
        path.write_bytes(broken)
        try:
            loaded = Calibration.load(path)
        except EdgeError:
            continue
        assert loaded.key == calibration.key


@pytest.mark.parametrize("path", ["none.calib", "."])
def test_a_missing_file_is_named(tmp_path: Path, path: str) -> None:
    with pytest.raises(EdgeError, match="Cannot read the calibration"):
        Calibration.load(tmp_path / path)
