from __future__ import annotations

import copy
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import tiny_spec, write_tiny_model
from typer.testing import CliRunner

from edge_sdk.calibration import Calibration, calibrate
from edge_sdk.cli import application
from edge_sdk.converters.convert import convert
from edge_sdk.converters.layer_groups import layer_groups
from edge_sdk.converters.lowering import lowering
from edge_sdk.converters.model_file import load_model, metadata, model_key, save_model
from edge_sdk.converters.proof import METADATA_KEY as PROOF_KEY
from edge_sdk.errors import EdgeError
from edge_sdk.precision_plan import PrecisionPlan
from edge_sdk.quantization_table import QuantizationTable
from edge_sdk.runtime import Detector
from edge_sdk.runtime.backends import open_engine
from edge_sdk.training import trainer
from edge_sdk.training.assigner import Objects
from edge_sdk.training.distillation import divergence
from edge_sdk.training.qat import (
    DIVERGENCE,
    TRAINED,
    QatNetwork,
    QatTrainer,
    Quantized,
    qat,
    qat_recipe,
)
from edge_sdk.training.recipe import Recipe

TARGET = "onnxruntime"
KEPT_FLOAT = "Conv_0"


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, toys: Path) -> Path:
    """A folder with a small network, its calibration and its plan."""
    folder = tmp_path_factory.mktemp("qat")
    source = write_tiny_model(folder / "tiny.onnx", tiny_spec(classes=("box", "disc")))
    model = convert(source, folder / "model.onnx").output
    calibrate(model, toys / "images", folder / "model.calib", limit=8)
    graph = load_model(model)
    groups = tuple(layer_groups(graph, [KEPT_FLOAT]))
    PrecisionPlan(model_key(graph), TARGET, groups).save(folder / "plan.yaml")
    return folder


@pytest.fixture(scope="module")
def start(files: Path) -> Quantized:
    """Half of the network's ranges are cut away."""
    graph = load_model(files / "model.onnx")
    table = Calibration.load(files / "model.calib").quantization_table(graph, "openvino", "max")
    activations = {
        name: replace(point, scale=point.scale / 2) for name, point in table.activations.items()
    }
    plan = PrecisionPlan.load(files / "plan.yaml")
    return Quantized(graph, replace(table, activations=activations), plan)


@pytest.fixture
def recipe(start: Quantized, toys: Path) -> Recipe:
    recipe = qat_recipe(start, str(toys), steps=6, batch=2, lr=1e-3)
    return replace(recipe, validations=2, validation_images=4)


def test_the_engine_computes_what_was_trained(
    start: Quantized, recipe: Recipe, tmp_path: Path
) -> None:
    """Weights and scales as they are in the loop, and the lowered graph of the files written."""
    learner = QatTrainer(start, recipe, tmp_path / "run", lambda row: None)
    batches = learner.batches.ahead(0, recipe.steps)
    learner.train_until(recipe.steps, batches, lambda *_: None)
    learner._keep({})
    model = load_model(tmp_path / "run/model.onnx")
    table = QuantizationTable.load(tmp_path / "run/quant.json")
    assert model_key(model) == table.model_key != start.plan.model_key
    layers = PrecisionPlan.load(tmp_path / "run/plan.yaml").int8_layers
    assert layers == start.plan.int8_layers
    save_model(lowering(TARGET)(model, table, layers), tmp_path / "lowered.onnx")
    image = np.random.default_rng(0).uniform(0, 1, (1, 3, 96, 128)).astype(np.float32)
    engine = open_engine(tmp_path / "lowered.onnx", TARGET)
    network = learner.ema.model.requires_grad_(True)
    classes, distances = network(torch.from_numpy(image))
    assert classes[0].requires_grad
    for own, other in zip((*classes, *distances), engine(image), strict=True):
        noise = np.square(own.detach().numpy() - other).mean() / np.square(other).mean()
        assert noise < 1e-4
    before = QatNetwork(start, layers)(torch.from_numpy(image))[0][0]
    assert not torch.allclose(before, classes[0], rtol=0.01)


def test_every_step_computes_with_the_scales_of_the_last(
    start: Quantized, recipe: Recipe, tmp_path: Path
) -> None:
    learner = QatTrainer(start, recipe, tmp_path / "run", lambda row: None)
    learner.train_until(3, learner.batches.ahead(0, 3), lambda *_: None)
    network = learner.model.network
    model, table = network.float_model(), network.table()
    plan = replace(start.plan, model_key=table.model_key)
    fresh = QatNetwork(Quantized(model, table, plan), plan.int8_layers)
    image = torch.rand(1, 3, 96, 128)
    for own, other in zip(learner.model(image)[0], fresh(image)[0], strict=True):
        assert torch.allclose(own, other, atol=1e-4 * float(other.detach().abs().max()))


def test_weights_biases_and_scales_learn(start: Quantized, recipe: Recipe, tmp_path: Path) -> None:
    longer = replace(recipe, steps=40, lr=3e-3)
    learner = QatTrainer(start, longer, tmp_path / "run", lambda row: None)
    first = copy.deepcopy(learner.model.state_dict())
    learner.train_until(longer.steps, learner.batches.ahead(0, longer.steps), lambda *_: None)
    last = learner.model.state_dict()
    moved = {name for name in first if not torch.equal(first[name], last[name])}
    assert moved == set(first)
    grown = (last["network.log_scales"] - first["network.log_scales"]).exp()
    assert grown.max() > 1.2


def test_training_brings_the_network_closer_to_float(
    start: Quantized, recipe: Recipe, tmp_path: Path
) -> None:
    """On pictures that it has not seen."""
    learner = QatTrainer(
        start, replace(recipe, steps=40, lr=1e-3), tmp_path / "run", lambda _: None
    )
    unseen = learner.batches.batch(1000).network_input()
    wanted = QatNetwork(start, frozenset())(unseen)
    before = divergence(learner.ema.model(unseen), wanted)
    learner.train_until(40, learner.batches.ahead(0, 40), lambda *_: None)
    after = divergence(learner.ema.model(unseen), wanted)
    assert float(sum(after)) < 0.5 * float(sum(before))


def test_what_is_kept_is_the_nearest_to_float(
    start: Quantized, recipe: Recipe, tmp_path: Path
) -> None:
    made = qat(start, replace(recipe, steps=20), tmp_path / "run")
    learner = QatTrainer(start, replace(recipe, steps=20), tmp_path / "run", lambda row: None)
    far = {row["step"]: row[DIVERGENCE] for row in learner._history.rows if DIVERGENCE in row}
    assert min(far.values()) < 0.8 * far[0]
    plan = PrecisionPlan.load(made.plan)
    kept = Quantized(load_model(made.model), QuantizationTable.load(made.table), plan)
    learner.ema.model = QatNetwork(kept, plan.int8_layers)
    assert learner._divergence() == pytest.approx(min(far.values()), rel=1e-3)


def test_labels_only_validate(start: Quantized, recipe: Recipe, tmp_path: Path) -> None:
    learner = QatTrainer(start, recipe, tmp_path / "run", lambda row: None)
    batch = learner.batches.batch(0)
    without = batch._replace(objects=Objects(*(torch.zeros_like(part) for part in batch.objects)))
    assert batch.objects.present.any()
    assert learner._losses(batch) == learner._losses(without)


def test_a_training_that_does_not_help_gives_back_what_it_was_given(
    start: Quantized, recipe: Recipe, tmp_path: Path
) -> None:
    made = qat(start, replace(recipe, lr=1e-12), tmp_path / "run")
    assert made.after == made.before
    assert model_key(load_model(made.model)) == start.plan.model_key
    table = QuantizationTable.load(made.table)
    assert {point.method for point in table.activations.values()} == {"max"}
    assert table.activations == start.table.activations


def test_the_trained_files_name_what_was_trained(
    start: Quantized, recipe: Recipe, tmp_path: Path
) -> None:
    learner = QatTrainer(start, recipe, tmp_path / "run", lambda row: None)
    learner.train_until(2, learner.batches.ahead(0, 2), lambda *_: None)
    learner._keep({})
    table = QuantizationTable.load(tmp_path / "run/quant.json")
    assert TRAINED in {point.method for point in table.activations.values()}
    assert PROOF_KEY in metadata(start.model)
    assert PROOF_KEY not in metadata(load_model(tmp_path / "run/model.onnx"))


def test_an_interrupted_training_ends_like_an_uninterrupted_one(
    start: Quantized, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "SAVE_EVERY", 0.0)
    whole = qat(start, recipe, tmp_path / "whole")

    def interrupt(done: int, total: int, what: str) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        qat(start, recipe, tmp_path / "parts", progress=interrupt)
    parts = qat(start, recipe, tmp_path / "parts")
    assert (parts.exact, parts.before, parts.after) == (whole.exact, whole.before, whole.after)
    networks = [
        QatTrainer(start, recipe, tmp_path / name, lambda row: None).model.state_dict()
        for name in ("whole", "parts")
    ]
    assert all(torch.equal(networks[0][name], networks[1][name]) for name in networks[0])


def test_another_table_does_not_go_on_with_a_training(
    start: Quantized, recipe: Recipe, tmp_path: Path, toys: Path
) -> None:
    qat(start, recipe, tmp_path / "run")
    other = replace(start, seven_bit_weights=True)
    again = replace(qat_recipe(other, str(toys), steps=6, batch=2, lr=1e-3), validations=2)
    with pytest.raises(EdgeError, match="holds a training with another"):
        qat(other, again, tmp_path / "run")


def test_data_of_other_classes_is_refused(start: Quantized, tmp_path: Path) -> None:
    street = qat_recipe(start, "test://street", steps=2)
    with pytest.raises(EdgeError, match="the network has box, disc"):
        qat(start, street, tmp_path / "run")


def test_what_cannot_be_trained_is_refused(start: Quantized) -> None:
    everything = tuple(replace(group, precision="float") for group in start.plan.groups)
    with pytest.raises(EdgeError, match="nothing to train for"):
        replace(start, plan=replace(start.plan, groups=everything))
    biases = {"c2.b": np.zeros(16, np.float32)}
    with pytest.raises(EdgeError, match="begin with the table of a calibration"):
        replace(start, table=replace(start.table, biases=biases))
    with pytest.raises(EdgeError, match="made for another model"):
        replace(start, plan=replace(start.plan, model_key="f" * 64))


def test_the_command_goes_on_to_a_bundle(files: Path, toys: Path, tmp_path: Path) -> None:
    def run(*arguments: object) -> str:
        result = CliRunner().invoke(application(), list(map(str, arguments)))
        assert result.exit_code == 0, (result.output, result.exception)
        return result.output

    model, plan, made = files / "model.onnx", files / "plan.yaml", tmp_path / "run"
    shown = run("qat", model, "--calib", files / "model.calib", "--plan", plan, "--data", toys,
                "--steps", 2, "--batch", 2, "--threads", 1, "-o", made)  # fmt: skip
    assert "points of mAP50-95 before" in shown
    following = shlex.split(shown.split("Next: edge-sdk ")[1].splitlines()[0])
    following[following.index("-o") + 1] = str(tmp_path / "a.edge")
    run(*following, "--keep-int8")
    with Detector(tmp_path / "a.edge", target=TARGET) as detector:
        detector(np.zeros((90, 120, 3), np.uint8))
