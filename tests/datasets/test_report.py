from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.datasets.report import SplitReport, check_dataset
from edge_sdk.errors import EdgeError

CAT, DOG = "0 0.5 0.5 0.5 0.4\n", "1 0.3 0.3 0.2 0.2\n"
NAMES = "names: [cat, dog]\n"

Make = Callable[..., str]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes a YOLO folder from the label texts of each split; all images differ."""

    def write(names: str = NAMES, **splits: list[str]) -> str:
        random = np.random.default_rng(0)
        for split, labels in splits.items():
            for part in ("images", "labels"):
                (tmp_path / split / part).mkdir(parents=True)
            for index, label in enumerate(labels):
                image = random.integers(0, 255, (30, 40, 3), dtype=np.uint8)
                cv2.imwrite(str(tmp_path / split / "images" / f"{index}.png"), image)
                (tmp_path / split / "labels" / f"{index}.txt").write_text(label)
        lines = "".join(f"{split}: {split}/images\n" for split in splits)
        (tmp_path / "data.yaml").write_text(lines + names)
        return str(tmp_path)

    return write


def test_counts(make: Make) -> None:
    root = make(train=[CAT, CAT + DOG, ""], val=[CAT, DOG], test=[DOG, CAT])
    report = check_dataset(root)
    assert report.names == ("cat", "dog")
    assert report.splits == (
        SplitReport("train", 3, 1, (2, 1)),
        SplitReport("val", 2, 0, (1, 1)),
        SplitReport("test", 2, 0, (1, 1)),
    )
    assert report.warnings == ()


def test_what_the_readers_mended_is_passed_on(make: Make) -> None:
    outside = "0 1.05 0.5 0.05 0.4\n"
    report = check_dataset(make(train=[CAT + outside, DOG], val=[CAT, DOG]))
    assert report.warnings == ("train: 1 boxes lay outside of their image and were left out",)


def test_one_image(make: Make) -> None:
    report = check_dataset(make(train=[CAT + DOG], val=[CAT + DOG]))
    assert report.warnings == (
        "train has one image: the network will learn that picture by heart",
        "val has one image: its mAP says next to nothing",
    )


def test_classes_without_objects(make: Make) -> None:
    names = "names: [cat, dog, emu, fox, gnu, hen, ibis]\n"
    report = check_dataset(make(names, train=[CAT, CAT], val=[CAT, DOG]))
    assert report.warnings == (
        "train has no object of dog, emu, fox, gnu, hen and 1 more: they cannot be learned",
        "val has no object of emu, fox, gnu, hen, ibis: they are not measured",
    )


def test_classes_of_the_same_name(make: Make) -> None:
    report = check_dataset(make("names: [cat, cat]\n", train=[CAT, DOG], val=[CAT, DOG]))
    assert report.warnings == ("several classes are called cat: give each a name of its own",)


def test_images_in_two_splits(make: Make, tmp_path: Path) -> None:
    root = make(train=[CAT, DOG, CAT], val=[CAT, DOG], test=[CAT, DOG])
    shutil.copy(tmp_path / "train/images/2.png", tmp_path / "val/images/0.png")
    picture = cv2.imread(str(tmp_path / "val/images/1.png"))
    cv2.imwrite(str(tmp_path / "test/images/1.png"), cv2.convertScaleAbs(picture, alpha=0.9))
    first, second = check_dataset(root).warnings
    assert first.startswith("val: 1 of 2 images are also in train, first ")
    assert "val/images/0.png and " in first
    assert "train/images/2.png" in first
    assert second.startswith("test: 1 of 2 images look the same as images of val, first ")


@pytest.mark.parametrize("split", ["train", "val"])
def test_no_object_at_all(make: Make, split: str) -> None:
    splits = {"train": [CAT, DOG], "val": [CAT, DOG], split: ["", ""]}
    with pytest.raises(EdgeError, match=f"no object is labelled in the split '{split}'"):
        check_dataset(make(**splits))


def test_a_missing_split(make: Make) -> None:
    with pytest.raises(EdgeError, match="no split 'val'; there: train"):
        check_dataset(make(train=[CAT]))


def test_an_empty_split(make: Make, tmp_path: Path) -> None:
    root = make(train=[CAT, DOG], val=[CAT])
    (tmp_path / "val/images/0.png").unlink()
    with pytest.raises(EdgeError, match=r"There is no image in .*val/images"):
        check_dataset(root)


def test_a_test_split_that_cannot_be_used_does_not_hinder_training(
    make: Make, tmp_path: Path
) -> None:
    root = make(train=[CAT, DOG], val=[CAT, DOG], test=["7 0.5 0.5 0.1 0.1\n"])
    (warning,) = check_dataset(root).warnings
    assert warning.startswith("test cannot be used: ")
    assert "class 7 is not one of 0 to 1" in warning


def test_an_unreadable_image(make: Make, tmp_path: Path) -> None:
    root = make(train=[CAT, DOG], val=[CAT, DOG])
    (tmp_path / "train/images/1.png").write_bytes(
        (tmp_path / "train/images/1.png").read_bytes()[:300]
    )
    with pytest.raises(EdgeError, match=r"train/images/1\.png is corrupt, truncated"):
        check_dataset(root)


def test_splits_with_other_classes(tmp_path: Path) -> None:
    for split, name in (("train", "cat"), ("val", "dog")):
        folder = tmp_path / split
        folder.mkdir()
        cv2.imwrite(str(folder / "a.png"), np.zeros((30, 40, 3), np.uint8))
        content = {
            "images": [{"id": 1, "file_name": "a.png"}],
            "annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 9, 9]}],
            "categories": [{"id": 1, "name": name}],
        }
        (folder / "_annotations.coco.json").write_text(json.dumps(content))
    with pytest.raises(EdgeError, match=r"classes of train \(cat\) are not those of val \(dog\)"):
        check_dataset(str(tmp_path))


def test_the_json_of_one_split(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((30, 40, 3), np.uint8))
    content = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 9, 9]}],
        "categories": [{"id": 1, "name": "cat"}],
    }
    path = tmp_path / "train.json"
    path.write_text(json.dumps(content))
    with pytest.raises(EdgeError, match=r"train\.json is one split: give the folder"):
        check_dataset(str(path))


@pytest.mark.shared
def test_two_photographs_of_the_same_blood_are_found(shared: Path) -> None:
    (warning,) = check_dataset(str(shared / "data" / "bccd")).warnings
    assert "val: 1 of 87 images look the same as images of train" in warning
    assert "BloodImage_00037" in warning
    assert "BloodImage_00038" in warning
