from __future__ import annotations

import json

import numpy as np
import pytest
from labelled import NAMES, NOTHING, detections, sample

from edge_sdk.errors import EdgeError
from edge_sdk.evaluation import mean_average_precision

BOX = [10, 10, 60, 60]


def test_everything_found():
    accuracy = mean_average_precision([detections([BOX], [0], [0.9])], [sample([BOX], [0])], NAMES)
    assert accuracy.map == accuracy.map50 == accuracy.medium == pytest.approx(1.0)
    assert accuracy.small is accuracy.large is None
    assert accuracy.per_class["cat"].map == pytest.approx(1.0)
    assert accuracy.per_class["dog"].map is None
    assert (accuracy.images, accuracy.objects, accuracy.per_class["cat"].objects) == (1, 1, 1)


def test_the_overlap_decides():
    """Intersection 40 x 50 over 60 x 50: IoU 2/3 passes 0.50, 0.55, 0.60 and 0.65."""
    found = detections([[20, 10, 70, 60]], [0], [0.9])
    accuracy = mean_average_precision([found], [sample([BOX], [0])], NAMES)
    assert accuracy.map == pytest.approx(0.4)
    assert accuracy.map50 == pytest.approx(1.0)
    assert accuracy.map75 == 0.0


def test_a_false_alarm_above_and_below():
    """One of two objects, behind one false alarm: precision 1/2 at the recalls up to 0.5."""
    truth = sample([BOX, [100, 100, 150, 150]], [0, 0])
    boxes = [[200, 200, 250, 250], BOX, [200, 0, 250, 50]]
    found = detections(boxes, [0, 0, 0], [0.9, 0.8, 0.7])
    accuracy = mean_average_precision([found], [truth], NAMES)
    assert accuracy.map == pytest.approx(0.5 * 51 / 101)


def test_the_mean_is_over_classes_that_are_there():
    found = detections([BOX], [0], [0.9])
    accuracy = mean_average_precision([found], [sample([BOX, BOX], [0, 1])], NAMES)
    assert accuracy.map == pytest.approx(0.5)


@pytest.mark.parametrize("kind", ["crowd", "difficult"])
def test_ignored_objects_are_neither_missed_nor_found(kind):
    truth = sample([BOX, [100, 100, 150, 150]], [0, 0], **{kind: [False, True]})
    only_real = detections([BOX], [0], [0.8])
    both = detections([[100, 100, 150, 150], BOX], [0, 0], [0.9, 0.8])
    for found in (only_real, both):
        accuracy = mean_average_precision([found], [truth], NAMES)
        assert accuracy.map == pytest.approx(1.0)
        assert accuracy.objects == 1


def test_sizes_follow_the_area_of_the_outline():
    found, truth = detections([BOX], [0], [0.9]), sample([BOX], [0], areas=[900.0])
    accuracy = mean_average_precision([found], [truth], NAMES)
    assert accuracy.small == pytest.approx(1.0)
    assert accuracy.medium is None


def test_nothing_found_is_zero_and_nothing_to_find_is_none():
    assert mean_average_precision([NOTHING], [sample([BOX], [0])], NAMES).map == 0.0
    assert mean_average_precision([NOTHING], [sample([], [])], NAMES).map is None
    found = detections([BOX], [0], [0.9])
    assert mean_average_precision([found], [sample([], [])], NAMES).map is None


def test_only_the_best_hundred_of_a_class_count():
    false = np.tile([200, 200, 250, 250], (100, 1))
    found = detections([*false, BOX], np.zeros(101), [*np.full(100, 0.9), 0.5])
    assert mean_average_precision([found], [sample([BOX], [0])], NAMES).map == 0.0


def test_plain_values():
    accuracy = mean_average_precision([NOTHING], [sample([BOX], [0])], NAMES)
    assert json.loads(json.dumps(accuracy.to_dict()))["per_class"]["dog"]["map"] is None


def test_what_does_not_fit_is_refused():
    with pytest.raises(EdgeError, match="1 predictions were given for 2 images"):
        mean_average_precision([NOTHING], [sample([], [])] * 2, NAMES)
    with pytest.raises(EdgeError, match="class 2, but the data set has 2"):
        mean_average_precision([detections([BOX], [2], [0.9])], [sample([], [])], NAMES[:2])
