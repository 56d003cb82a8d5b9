from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edge_sdk.datasets import Labels
from edge_sdk.datasets.sample import FileSample
from edge_sdk.detections import Detections
from edge_sdk.drawing import colour_of
from edge_sdk.training.predictions import GAP, spread, write_page


def sample(folder: Path, number: int, height: int = 120, width: int = 240) -> FileSample:
    path = folder / f"{number}.png"
    cv2.imwrite(str(path), np.zeros((height, width, 3), np.uint8))
    return FileSample(path, Labels.of([[20, 20, 60, 60]], [0]))


def found(*boxes: tuple[float, float, float, float]) -> Detections:
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4), np.full(len(boxes), 0.9, np.float32),
        np.zeros(len(boxes), np.int32), ("thing",),
    )  # fmt: skip


def near(page: np.ndarray, x: int, y: int, colour: tuple[int, ...]) -> bool:
    spot = page[y - 2 : y + 3, x - 2 : x + 3].astype(int)
    return bool((np.abs(spot - colour).max(axis=-1) < 60).any())


def test_labels_are_white_and_detections_coloured_at_their_places(tmp_path: Path) -> None:
    samples = [sample(tmp_path, 0), sample(tmp_path, 1, 240, 120)]
    write_page(tmp_path / "page.jpg", samples, [found((100, 30, 140, 100)), found()])
    page = cv2.imread(str(tmp_path / "page.jpg"))
    assert page.shape == (480 + 2 * GAP, 960 + 3 * GAP, 3)  # twice as large, side by side
    assert near(page, GAP + 40, GAP + 80, (255, 255, 255))
    assert near(page, GAP + 280, GAP + 120, colour_of(0))
    assert near(page, 480 + 2 * GAP + 40, GAP + 80, (255, 255, 255))
    assert not near(page, 480 + 2 * GAP + 280, GAP + 120, colour_of(0))


def test_labels_can_be_seen_on_a_white_picture(tmp_path: Path) -> None:
    white = sample(tmp_path, 0)
    cv2.imwrite(str(white.path), np.full((120, 240, 3), 255, np.uint8))
    write_page(tmp_path / "page.jpg", [white], [found()])
    page = cv2.imread(str(tmp_path / "page.jpg"))
    assert near(page, GAP + 40, GAP + 80, (0, 0, 0))


def test_a_page_shows_pictures_from_all_of_the_split(tmp_path: Path) -> None:
    one = sample(tmp_path, 0)
    chosen = spread([one] * 3)
    assert len(chosen) == 3
    many = [sample(tmp_path, number, 2, 2) for number in range(24)]
    assert [many.index(item) for item in spread(many)] == list(range(0, 24, 2))
