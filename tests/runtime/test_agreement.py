from __future__ import annotations

import numpy as np
import pytest

from edge_sdk.datasets.sample import Labels
from edge_sdk.detections import Detections
from edge_sdk.evaluation.accuracy import mean_average_precision
from edge_sdk.runtime.agreement import agreement

NAMES = ("car", "truck", "pedestrian")


def detections(*objects: tuple[float, int, tuple[float, float, float, float]]) -> Detections:
    """From (score, class, box)."""
    return Detections(
        np.array([box for _, _, box in objects], np.float32).reshape(-1, 4),
        np.array([score for score, _, _ in objects], np.float32),
        np.array([one for _, one, _ in objects], np.int32),
        NAMES,
    )


CAR = (0.9, 0, (10.0, 10.0, 50.0, 30.0))
TRUCK = (0.6, 1, (60.0, 10.0, 90.0, 50.0))
FAINT = (0.26, 2, (5.0, 40.0, 10.0, 60.0))


def test_equal_detections_agree() -> None:
    frames = [detections(CAR, TRUCK), detections(FAINT)]
    result = agreement(frames, frames, 0.25)
    assert result.objects == 3
    assert set(result.to_dict().values()) == {3, 0}


def test_an_object_that_sinks_below_the_threshold_is_not_lost() -> None:
    sunk = (0.24, *FAINT[1:])
    result = agreement([detections(CAR, FAINT)], [detections(CAR, sunk)], 0.25)
    assert (result.missed, result.added) == (0, 0)
    assert result.score_shift == pytest.approx(0.02)
    back = agreement([detections(CAR, sunk)], [detections(CAR, FAINT)], 0.25)
    assert (back.objects, back.missed, back.added) == (1, 0, 0)


def test_what_is_missed_and_what_is_added_counts() -> None:
    result = agreement([detections(CAR, TRUCK)], [detections(CAR, FAINT)], 0.25)
    assert (result.missed, result.added, result.lost) == (1, 1, 1.0)
    assert result.map_drop == pytest.approx(0.5)


def test_an_object_of_another_class_or_place_is_another_object() -> None:
    car = (0.9, 1, CAR[2])
    assert agreement([detections(CAR)], [detections(car)], 0.25).lost == 2
    aside = (0.9, 0, (40.0, 10.0, 80.0, 30.0))
    assert agreement([detections(CAR)], [detections(aside)], 0.25).lost == 2


def test_one_detection_is_the_partner_of_one_object() -> None:
    result = agreement([detections(CAR, (0.8, *CAR[1:]))], [detections(CAR)], 0.25)
    assert (result.objects, result.missed, result.added) == (2, 1, 0)


def test_shifts_are_those_of_the_objects_found_again() -> None:
    moved = (0.5, 1, (62.0, 10.0, 90.0, 53.0))
    result = agreement([detections(CAR, TRUCK)], [detections(CAR, moved)], 0.25)
    assert result.score_shift == pytest.approx(0.1)
    assert result.box_shift == pytest.approx(3.0)
    assert result.log_odds == pytest.approx(np.log(1.5) / 2)


def test_nothing_on_either_side_or_on_one() -> None:
    empty = detections()
    assert set(agreement([empty], [empty], 0.25).to_dict().values()) == {0}
    assert agreement([empty], [detections(CAR)], 0.25).lost == 1
    assert agreement([detections(CAR)], [empty], 0.25).map_drop == 1


@pytest.mark.parametrize("seed", range(3))
def test_the_mean_average_precision_is_that_of_coco(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, found, samples = [], [], []
    for _ in range(6):
        corners = rng.uniform(0, 300, (12, 2))
        boxes = np.hstack([corners, corners + rng.uniform(20, 120, (12, 2))]).astype(np.float32)
        classes = rng.integers(0, 3, 12).astype(np.int32)
        truth.append(Detections(boxes, np.ones(12, np.float32), classes, NAMES))
        samples.append(_Sample(Labels.of(boxes, classes)))
        noisy = boxes + rng.normal(0, 4, boxes.shape).astype(np.float32)
        other = np.where(rng.uniform(size=12) < 0.2, (classes + 1) % 3, classes).astype(np.int32)
        scores = rng.uniform(0.3, 1, 12).astype(np.float32)
        found.append(Detections(noisy[:10], scores[:10], other[:10], NAMES))
    coco = mean_average_precision(found, samples, NAMES).map  # type: ignore[arg-type]
    assert coco is not None
    assert 0.1 < coco < 0.9
    assert agreement(truth, found, 0.25).map_drop == pytest.approx(1 - coco, abs=1e-6)


class _Sample:
    def __init__(self, labels: Labels) -> None:
        self.labels = labels
