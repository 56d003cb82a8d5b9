from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from safetensors import safe_open

from edge_sdk.converters.checkpoints import load_checkpoint
from edge_sdk.datasets import Dataset, Labels
from edge_sdk.datasets.sample import FileSample
from edge_sdk.errors import EdgeError
from edge_sdk.training import finetuning as finetuning_module
from edge_sdk.training.finetuning import finetuning, fitting_size, foundation, share_of_small
from edge_sdk.training.recipe import Recipe


def split(folder: Path, *sizes: tuple[int, int]) -> Dataset:
    samples = []
    for index, (height, width) in enumerate(sizes):
        path = folder / f"{index}.png"
        cv2.imwrite(str(path), np.zeros((height, width, 3), np.uint8))
        samples.append(FileSample(path, Labels.of([], [])))
    return Dataset(("a",), samples, "here", "train")


def test_steps_follow_from_epochs_and_images(toys: Path) -> None:
    recipe = finetuning([str(toys)], epochs=5, batch=3)
    assert (recipe.steps, recipe.warmup, recipe.validations) == (14, 1, 5)
    assert finetuning([str(toys)], epochs=200, batch=8).warmup == 3
    assert finetuning([str(toys)], epochs=200).validations == 30


def test_an_epoch_of_several_data_sets_is_the_largest_of_each(toys: Path) -> None:
    recipe = finetuning([str(toys), "test://street"], epochs=2, batch=10)
    assert recipe.steps == 2 * 2 * 500 / 10
    assert recipe.sources == (str(toys), "test://street")


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(480, 640)], (320, 416)),
        ([(1024, 768)] * 3 + [(768, 1024)], (416, 320)),
        ([(100, 100)], (416, 416)),
        ([(20, 2000)], (32, 416)),
    ],
)
def test_the_input_has_the_shape_of_most_images(
    tmp_path: Path, sizes: list[tuple[int, int]], expected: tuple[int, int]
) -> None:
    assert fitting_size([split(tmp_path, *sizes)]) == expected


def test_small_objects_are_counted_at_the_input_size(tmp_path: Path) -> None:
    (sample,) = split(tmp_path, (200, 400)).images
    boxes = [[0, 0, 40, 17], [0, 0, 40, 15], [0, 0, 15, 40], [0, 0, 100, 100]]
    labelled = FileSample(sample.path, Labels.of(boxes, [0] * 4))
    assert share_of_small([Dataset(("a",), [labelled], "here", "train")], (160, 200)) == 0.5
    assert share_of_small([split(tmp_path, (20, 20))], (64, 64)) == 0


def test_senseless_numbers_are_refused(toys: Path) -> None:
    with pytest.raises(EdgeError, match="patience must be at least 1"):
        finetuning([str(toys)], patience=0)


def test_the_foundation_is_for_its_own_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = load_checkpoint(foundation("n"))
    assert (checkpoint.size, checkpoint.block) == ("n", "qarepvgg")
    assert checkpoint.spec is not None
    assert {"car", "RBC"} <= set(checkpoint.spec.class_names)
    with pytest.raises(EdgeError, match="is a YOLO-NAS-N, there is none of S"):
        foundation("s")
    monkeypatch.setattr(finetuning_module, "FOUNDATION", tmp_path / "none.safetensors")
    with pytest.raises(EdgeError, match=r"not at .*none\.safetensors"):
        foundation("n")


def test_the_foundation_that_is_packed_names_no_folder_of_the_machine_it_came_from() -> None:
    with safe_open(foundation("n"), "np") as file:
        recipe = Recipe.from_json(file.metadata()["recipe"])
    assert recipe.sources == ("test://street", "bccd")
    assert recipe.start == "n_street.safetensors"
