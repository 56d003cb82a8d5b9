from pathlib import Path

import numpy as np
import pytest
from tiny import write_tiny_model

from edge_sdk.calibration import calibrate, refinement
from edge_sdk.calibration.pictures import network_inputs
from edge_sdk.calibration.shift import Shift
from edge_sdk.converters.convert import convert
from edge_sdk.converters.model_file import head_spec_of, load_model
from edge_sdk.deployment import build, plan
from edge_sdk.errors import EdgeError
from edge_sdk.plan_refinement import refine_plan
from edge_sdk.precision_plan import PrecisionPlan
from edge_sdk.quantization_table import QuantizationTable

IMAGES = "test://street?seed=3&size=128x96"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with model.onnx, model.calib and plan.yaml."""
    convert(write_tiny_model(tmp_path / "tiny.onnx"), tmp_path / "model.onnx")
    calibrate(tmp_path / "model.onnx", IMAGES, tmp_path / "model.calib", limit=4)
    plan(tmp_path / "model.onnx", tmp_path / "model.calib", "onnxruntime", tmp_path / "plan.yaml")
    return tmp_path


def test_a_plan_is_refined_and_built(files: Path) -> None:
    arguments = (files / "model.onnx", files / "model.calib", files / "plan.yaml", "onnxruntime")
    gains = refine_plan(*arguments, files / "quant.json", limit=4)
    assert [gain.step for gain in gains] == ["like channels", "biases"]
    table = QuantizationTable.load(files / "quant.json")
    assert [bool(table.factors), bool(table.biases)] == [gain.kept for gain in gains]
    assert all(gain.kept == (gain.after.loss < gain.before.loss) for gain in gains)
    made = build(
        files / "model.onnx", None, files / "plan.yaml", "onnxruntime", files / "a.edge",
        table=files / "quant.json", keep_int8=True,
    )  # fmt: skip
    assert made.bundle.exists()


def test_a_plan_of_another_target_is_refused(files: Path) -> None:
    with pytest.raises(EdgeError, match="openvino"):
        refine_plan(
            files / "model.onnx", files / "model.calib", files / "plan.yaml", "openvino",
            files / "quant.json",
        )  # fmt: skip


def test_only_what_gains_is_kept(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step marks its table, and the marks are given a loss."""
    model = load_model(files / "model.onnx")
    plain = calibrate(files / "model.onnx", IMAGES, files / "model.calib", limit=4)
    table = plain.quantization_table(model, "onnxruntime")
    losses = iter([0.4, 0.5, 0.45, 0.2, 0.3])
    monkeypatch.setattr(
        refinement, "measure_shift", lambda *_, **__: [Shift(next(losses), 0.0, 1.0)]
    )
    images = network_inputs(IMAGES, 2, head_spec_of(model))
    monkeypatch.setattr(refinement, "learn_rounding", lambda model, table, *_, **__: marked(table))
    layers = PrecisionPlan.load(files / "plan.yaml").int8_layers
    refined, gains = refinement.refine(
        model, table, plain.quantization_table(model, "onnxruntime", "max"), "onnxruntime", images,
        layers, learned_rounding=True,
    )  # fmt: skip
    assert [(gain.step, gain.kept) for gain in gains] == [
        ("ranges", False),
        ("like channels", False),
        ("learned rounding", True),
        ("biases", False),
    ]
    assert gains[3].before.loss == 0.2
    assert not refined.factors
    assert refined.rounded.keys() == {"mark"}
    assert refined.activations == table.activations


def marked(table: QuantizationTable) -> QuantizationTable:
    return QuantizationTable(
        table.model_key, table.activations, table.weights, {}, {"mark": np.zeros(1, np.int8)}
    )
