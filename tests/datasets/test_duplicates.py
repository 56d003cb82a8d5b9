from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.datasets import Dataset, Labels
from edge_sdk.datasets.duplicates import Twin, fingerprints, twins
from edge_sdk.datasets.sample import FileSample
from edge_sdk.errors import EdgeError


def scene(seed: int) -> np.ndarray:
    """A smooth picture with things in it, 120 x 160."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (6, 8, 3), np.uint8)
    return cv2.resize(coarse, (160, 120), interpolation=cv2.INTER_CUBIC)


def split(folder: Path, *images: np.ndarray, suffix: str = ".png") -> Dataset:
    folder.mkdir()
    samples = []
    for index, image in enumerate(images):
        path = folder / f"{index}{suffix}"
        cv2.imwrite(str(path), image)
        samples.append(FileSample(path, Labels.of([], [])))
    return Dataset(("a",), samples, str(folder), folder.name)


def shared(first: Dataset, second: Dataset) -> list[Twin]:
    return twins(fingerprints(first), fingerprints(second))


def test_equal_pixels_are_found_whatever_the_file(tmp_path: Path) -> None:
    train = split(tmp_path / "train", scene(0), scene(1), scene(2))
    val = split(tmp_path / "val", scene(3), scene(1), suffix=".bmp")
    assert shared(val, train) == [Twin(1, 1, True)]


@pytest.mark.parametrize(
    "change",
    [
        lambda image: cv2.resize(image, (96, 72)),
        lambda image: cv2.convertScaleAbs(image, alpha=0.8, beta=20),
        lambda image: cv2.GaussianBlur(image, (9, 9), 0),
        lambda image: cv2.imdecode(cv2.imencode(".jpg", image, [1, 40])[1], 1),
        lambda image: np.roll(image, 2, axis=1),
    ],
)
def test_the_same_to_the_eye(tmp_path: Path, change) -> None:
    train = split(tmp_path / "train", scene(0), scene(1))
    val = split(tmp_path / "val", scene(5), change(scene(1)))
    assert shared(val, train) == [Twin(1, 1, False)]


def test_other_pictures_are_not_taken_for_the_same(tmp_path: Path) -> None:
    plain = np.full((50, 50, 3), 90, np.uint8)
    train = split(tmp_path / "train", *map(scene, range(20)), plain)
    val = split(tmp_path / "val", *map(scene, range(20, 40)), plain + 9, scene(3)[:, ::-1])
    assert shared(val, train) == []


def test_an_unreadable_image_is_named(tmp_path: Path) -> None:
    train = split(tmp_path / "train", scene(0), scene(1))
    (tmp_path / "train" / "1.png").write_bytes(b"\x89PNG")
    with pytest.raises(EdgeError, match=r"1\.png is corrupt"):
        fingerprints(train)
