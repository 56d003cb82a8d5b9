from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from edge_sdk.errors import EdgeError
from edge_sdk.head_spec import HeadSpec
from edge_sdk.training import Recipe, train, trainer
from edge_sdk.training.checkpoint import Checkpoint
from edge_sdk.training.losses import DetectionLoss, Losses


@pytest.fixture
def recipe(toys: Path, tiny: str) -> Recipe:
    return Recipe(
        str(toys), tiny, input_size=(64, 96), steps=6, batch=2, warmup=2, validations=2,
        validation_images=8,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def states(folder: Path) -> dict[str, torch.Tensor]:
    content = Checkpoint.load(folder / "last.pt").states
    flat = {
        f"{part}.{name}": value
        for part in ("model", "ema")
        for name, value in content[part].items()
    }
    for index, state in content["optimizer"]["state"].items():
        flat |= {f"optimizer.{index}.{name}": value for name, value in state.items()}
    return flat


def test_an_interrupted_training_ends_like_an_uninterrupted_one(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "SAVE_EVERY", 0.0)
    whole = train(recipe, tmp_path / "whole")

    def interrupt(done: int, total: int, what: str) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "parts", progress=interrupt)
    assert Checkpoint.load(tmp_path / "parts" / "last.pt").step == 4
    steps = []
    resumed = train(recipe, tmp_path / "parts", progress=lambda done, *_: steps.append(done))

    assert steps == [5, 6]
    first, second = states(tmp_path / "whole"), states(tmp_path / "parts")
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert (resumed.map, resumed.map50) == (whole.map, whole.map50)
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole")
    assert contents(resumed.weights) == contents(whole.weights)


def contents(weights: Path) -> tuple[dict[str, str], dict[str, bytes]]:
    with safe_open(weights, "np") as file:
        names = file.keys()
        return file.metadata(), {name: file.get_tensor(name).tobytes() for name in names}


def rows(folder: Path) -> list[dict[str, Any]]:
    read = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in read]


def test_the_folder_holds_all_that_is_needed(recipe: Recipe, tmp_path: Path) -> None:
    reported: list[dict[str, Any]] = []
    trained = train(recipe, tmp_path, report=reported.append)

    assert {path.name for path in tmp_path.iterdir()} == {
        "best.safetensors", "predictions.jpg", "last.pt", "log.jsonl", "curves.png",
    }  # fmt: skip
    assert [row["step"] for row in reported if "loss" in row] == [1, 2, 3, 4, 5, 6]
    assert [row["step"] for row in reported if "map" in row] == [3, 6]
    with safe_open(trained.weights, "pt") as file:
        metadata, names = file.metadata(), set(file.keys())
    assert (metadata["model"], metadata["block"]) == ("tiny", "qarepvgg")
    spec = HeadSpec.from_json(metadata["head_spec"])
    assert (spec.class_names, spec.input_size) == (("box", "disc"), (64, 96))
    assert Recipe.from_json(metadata["recipe"]) == recipe
    assert json.loads(metadata["facts"])["map"] == trained.map
    assert "backbone.stem.conv.branch_1x1.weight" in names


def accuracies(monkeypatch: pytest.MonkeyPatch, maps: list[float]) -> None:
    """Let the evaluations of a training find these accuracies, one after the other."""
    coming = iter(maps)

    def found(*_: Any, **__: Any) -> SimpleNamespace:
        value = next(coming)
        return SimpleNamespace(map=value, map50=value)

    monkeypatch.setattr(trainer, "validate", found)


def test_patience_ends_a_training_that_no_longer_gets_better(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = replace(recipe, validations=6, patience=2)
    accuracies(monkeypatch, [0.1, 0.3, 0.2, 0.3, 0.9])
    trained = train(impatient, tmp_path)
    assert trained.map == 0.3
    assert [row["step"] for row in rows(tmp_path) if "map" in row] == [1, 2, 3, 4]
    with safe_open(trained.weights, "pt") as file:
        assert json.loads(file.metadata()["facts"])["step"] == 2

    steps: list[int] = []
    assert train(impatient, tmp_path, progress=lambda done, *_: steps.append(done)) == trained
    assert steps == []


def test_a_rise_gives_new_patience(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accuracies(monkeypatch, [0.1, 0.0, 0.2, 0.1, 0.3, 0.2])
    train(replace(recipe, validations=6, patience=2), tmp_path)
    assert len([row for row in rows(tmp_path) if "map" in row]) == 6


def test_one_image_and_a_batch_of_one(recipe: Recipe, toys: Path, tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text(
        f"path: {toys}\ntrain: images/all/0.png\nval: images/all/0.png\nnames: [box, disc]\n"
    )
    trained = train(replace(recipe, data=str(tmp_path), batch=1, steps=2), tmp_path / "run")
    assert trained.map >= 0


def test_several_data_sets_are_learned_together(recipe: Recipe, toys: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "data.yaml").write_text(
        f"path: {toys}\ntrain: images/all\nval: images/all\nnames: [disc, cube]\n"
    )
    both = replace(recipe, data=(str(toys), str(other)), steps=2, validations=1)
    trained = train(both, tmp_path / "run")
    with safe_open(trained.weights, "pt") as file:
        metadata = file.metadata()
    assert HeadSpec.from_json(metadata["head_spec"]).class_names == ("box", "disc", "cube")
    assert Recipe.from_json(metadata["recipe"]) == both


def test_a_finished_training_is_not_begun_again(recipe: Recipe, tmp_path: Path) -> None:
    first = train(recipe, tmp_path)
    steps: list[int] = []
    assert train(recipe, tmp_path, progress=lambda done, *_: steps.append(done)) == first
    assert steps == []


def test_another_recipe_does_not_go_on_with_it(recipe: Recipe, tmp_path: Path) -> None:
    train(recipe, tmp_path)
    with pytest.raises(EdgeError, match="another lr and seed"):
        train(replace(recipe, lr=1e-4, seed=1), tmp_path)


def test_a_damaged_checkpoint_is_named(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(EdgeError, match=r"last\.pt is no checkpoint"):
        train(recipe, tmp_path)


class Poisoned(DetectionLoss):
    """Turns to NaN at its fifth call."""

    calls = 0

    def __call__(self, *arguments: Any) -> Losses:
        Poisoned.calls += 1
        losses = super().__call__(*arguments)
        return losses._replace(boxes=losses.boxes * (np.nan if Poisoned.calls == 5 else 1))


def test_a_loss_that_is_no_number_stops_and_keeps_what_was_good(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "DetectionLoss", Poisoned)
    Poisoned.calls = 0
    with pytest.raises(EdgeError, match="no longer finite at step 5"):
        train(recipe, tmp_path)
    checkpoint = Checkpoint.load(tmp_path / "last.pt")
    assert checkpoint.step == 3
    assert all(torch.isfinite(value).all() for value in checkpoint.states["model"].values())


@pytest.mark.parametrize("block", ["qarepvgg", "repvgg"])
def test_bfloat16_trains_too(recipe: Recipe, tmp_path: Path, block: str) -> None:
    losses = []
    train(
        replace(recipe, bf16=True, block=block, steps=2, validations=1), tmp_path,
        report=lambda row: losses.append(row.get("loss", 0.0)),
    )  # fmt: skip
    assert np.isfinite(losses).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"input_size": (100, 96)}, "multiples of 32"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"batch": 1, "input_size": (32, 32)}, "batch normalization a single value"),
        ({"patience": 0}, "patience must be at least 1"),
        ({"lr": 0.0}, "learning rate must be above 0"),
        ({"lr": float("nan")}, "learning rate must be above 0"),
    ],
)
def test_senseless_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(EdgeError, match=message):
        Recipe("test://street", **settings)


@pytest.mark.slow
def test_it_learns_eight_pictures_by_heart(toys: Path, tiny: str, tmp_path: Path) -> None:
    recipe = Recipe(
        str(toys), tiny, input_size=(128, 192), steps=120, batch=8, lr=3e-3, warmup=20,
        augment=False, validations=1,
    )  # fmt: skip
    assert train(recipe, tmp_path).map50 > 0.95


def test_a_folder_that_cannot_be_made_is_told_before_the_first_step(
    recipe: Recipe, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    steps: list[int] = []
    with pytest.raises(EdgeError, match="Cannot make the folder"):
        train(recipe, tmp_path / "file" / "run", progress=lambda *done: steps.append(1))
    assert not steps
