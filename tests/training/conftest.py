"""Eight drawn pictures as a data set, and a network that learns them in seconds."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.converters.models import RECORDS, Record, Stage

COLOURS = ((40, 40, 230), (230, 60, 30))


@pytest.fixture(scope="session")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A YOLO folder of eight pictures with boxes and discs; train and val are the same."""
    root = tmp_path_factory.mktemp("toys")
    random = np.random.default_rng(0)
    for part in ("images", "labels"):
        (root / part / "all").mkdir(parents=True)
    for number in range(8):
        image, lines = _picture(random)
        cv2.imwrite(str(root / "images/all" / f"{number}.png"), image)
        (root / "labels/all" / f"{number}.txt").write_text("\n".join(lines))
    (root / "data.yaml").write_text(
        "path: .\ntrain: images/all\nval: images/all\nnames: [box, disc]\n"
    )
    return root


def _picture(random: np.random.Generator) -> tuple[np.ndarray, list[str]]:
    height, width = 180, 320
    image = random.integers(60, 120, (height, width, 3), dtype=np.uint8)
    lines = []
    for column in random.permutation(4)[: random.integers(1, 4)]:
        kind = int(random.integers(2))
        w, h = int(random.integers(30, 70)), int(random.integers(30, 90))
        x, y = int(column) * 80 + 4, int(random.integers(0, height - h))
        if kind == 0:
            cv2.rectangle(image, (x, y), (x + w - 1, y + h - 1), COLOURS[0], -1)
        else:
            centre, axes = (x + w // 2, y + h // 2), (w // 2, h // 2)
            cv2.ellipse(image, centre, axes, 0, 0, 360, COLOURS[1], -1)
        box = ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height)
        lines.append(f"{kind} " + " ".join(f"{value:.6f}" for value in box))
    return image, lines


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a small record of the same architecture."""
    record = Record(
        stem=16,
        backbone=(Stage(24, 1, 16), Stage(32, 1, 16), Stage(48, 1, 24), Stage(64, 1, 32)),
        neck=(Stage(48, 1, 24), Stage(32, 1, 16), Stage(48, 1, 24), Stage(64, 1, 24)),
        heads=(32, 32, 32),
    )
    monkeypatch.setitem(RECORDS, "tiny", record)
    return "tiny"
