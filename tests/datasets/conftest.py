"""Pictures and label files in the layouts that people have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

WIDTH, HEIGHT = 40, 30

MakeYolo = Callable[..., Path]


def write_image(path: Path, width: int = WIDTH, height: int = HEIGHT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    assert cv2.imwrite(str(path), pixels)
    return path


@pytest.fixture
def image() -> Callable[..., Path]:
    return write_image


@pytest.fixture
def yolo(tmp_path: Path) -> MakeYolo:
    """Makes a data set of one split from label texts; None stands for no label file."""

    def make(*labels: str | None, yaml: str = "val: images/val\nnames: [cat, dog]") -> Path:
        for index, label in enumerate(labels):
            write_image(tmp_path / "images" / "val" / f"{index}.png")
            if label is not None:
                path = tmp_path / "labels" / "val" / f"{index}.txt"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(label)
        (tmp_path / "data.yaml").write_text(yaml)
        return tmp_path

    return make
