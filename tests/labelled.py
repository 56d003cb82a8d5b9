"""Labelled images without pixels, and detections on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_sdk.datasets import Labels, Sample
from edge_sdk.detections import Detections

NAMES = ("cat", "dog", "cow")


@dataclass(frozen=True)
class Blank(Sample):
    """A grey picture with labels."""

    known: Labels

    @property
    def name(self) -> str:
        return "blank"

    @property
    def labels(self) -> Labels:
        return self.known

    def read(self) -> Any:
        return np.full((300, 300, 3), 127, np.uint8)


def sample(boxes: Any, class_ids: Any, **more: Any) -> Blank:
    return Blank(Labels.of(boxes, class_ids, **more))


def detections(boxes: Any, class_ids: Any, scores: Any) -> Detections:
    return Detections(
        np.asarray(boxes, np.float32).reshape(-1, 4),
        np.asarray(scores, np.float32),
        np.asarray(class_ids, np.int32),
        NAMES,
    )


def random_case(seed: int, images: int = 20, *, ties: bool = False) -> tuple[list, list]:
    """Crowded images with crowd regions, difficult objects, false and double detections."""
    rng = np.random.default_rng(seed)
    samples, predictions = [], []
    for _ in range(images):
        count = rng.integers(0, 12)
        corner, size = rng.integers(0, 100, (count, 2)), rng.integers(5, 120, (count, 2))
        boxes, classes = np.hstack([corner, corner + size]), rng.integers(0, 3, count)
        crowd, difficult = rng.random(count) < 0.15, rng.random(count) < 0.1
        samples.append(sample(boxes, classes, crowd=crowd, difficult=difficult))
        chosen = rng.integers(0, max(count, 1), rng.integers(0, 30) if count else 0)
        found = boxes[chosen] + rng.integers(-12, 13, (len(chosen), 4))
        found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
        mistaken = np.where(rng.random(len(chosen)) < 0.2, rng.integers(0, 3), classes[chosen])
        scores = rng.integers(1, 9, len(chosen)) / 10 if ties else rng.random(len(chosen))
        predictions.append(detections(found, mistaken, scores))
    return predictions, samples


NOTHING = detections([], [], [])
