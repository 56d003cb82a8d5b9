from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from tiny import tiny_spec, write_tiny_model

from edge_sdk.errors import EdgeError
from edge_sdk.evaluation.comparison import compare, open_side

FRAMES = [np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)]


def test_a_model_is_equal_to_itself(tiny_model: Path):
    side = open_side(f"{tiny_model}@onnxruntime")
    differences = compare(side, side, FRAMES, threads=1)
    assert all(one.sqnr is None and one.max_abs == 0 for one in differences)
    assert [one.tensor for one in differences][:3] == ["c2", "r2", "c4"]
    assert differences[0].layer == "Conv"


def test_engine_against_engine(tiny_model: Path):
    sides = [open_side(f"{tiny_model}@{target}") for target in ("onnxruntime", "openvino")]
    differences = compare(*sides, FRAMES, threads=1)
    assert {"c2", "r32", "classes_8", "distances_32"} <= {one.tensor for one in differences}
    assert all(one.sqnr is None or one.sqnr > 80 for one in differences)


def test_a_change_shows_from_its_layer_on(tiny_model: Path, tmp_path: Path):
    model = onnx.load(tiny_model)
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == "c8.w")
    noisy = numpy_helper.to_array(weight) * np.float32(1.1)
    weight.CopyFrom(numpy_helper.from_array(noisy, "c8.w"))
    onnx.save(model, tmp_path / "noisy.onnx")
    sides = [open_side(f"{path}@onnxruntime") for path in (tiny_model, tmp_path / "noisy.onnx")]
    found = {one.tensor: one for one in compare(*sides, FRAMES, threads=1)}
    assert found["r4"].sqnr is None
    assert found["c8"].sqnr == pytest.approx(20, abs=3)  # a tenth of the amplitude
    assert found["classes_32"].sqnr < 40


@pytest.mark.parametrize("target", ["openvino", "onnxruntime"])
def test_a_bundle_by_its_target(tiny_bundle: Path, tiny_model: Path, target: str):
    sides = [open_side(f"{tiny_model}@onnxruntime"), open_side(f"{tiny_bundle}@{target}")]
    assert sides[1].target == target
    assert len(compare(*sides, FRAMES, threads=1)) == 16


def test_what_cannot_be_compared_is_refused(tiny_model: Path, tiny_bundle: Path, tmp_path: Path):
    other = write_tiny_model(tmp_path / "other.onnx", tiny_spec((32, 32)))
    with pytest.raises(EdgeError, match="compare models of one input size"):
        compare(open_side(str(tiny_model)), open_side(str(other)), FRAMES)
    with pytest.raises(EdgeError, match="has no engine for 'tensorrt'"):
        open_side(f"{tiny_bundle}@tensorrt")
    side = open_side(f"{tiny_model}@magic")
    with pytest.raises(EdgeError, match="Unknown target 'magic'"):
        compare(side, side, FRAMES)


def test_only_shared_tensors_are_compared(tiny_model: Path, tmp_path: Path):
    model = onnx.load(tiny_model)
    model.graph.node[0].output[0] = model.graph.node[1].input[0] = "renamed"
    onnx.save(model, tmp_path / "renamed.onnx")
    sides = [open_side(f"{path}@onnxruntime") for path in (tiny_model, tmp_path / "renamed.onnx")]
    tensors = [one.tensor for one in compare(*sides, FRAMES, threads=1)]
    assert "c2" not in tensors
    assert tensors[0] == "r2"
