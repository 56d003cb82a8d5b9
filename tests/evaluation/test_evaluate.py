from __future__ import annotations

import pytest
from labelled import NAMES, detections, sample

from edge_sdk.datasets import Dataset
from edge_sdk.evaluation import EVALUATION, evaluate, predict

BOX = [10, 10, 60, 60]


class Finder:
    """Finds the box on every frame, and calls it by its own number."""

    names = ("cow", "cat")

    def __call__(self, frame):
        assert frame.shape == (300, 300, 3)
        return detections([BOX], [1], [0.9])


@pytest.fixture
def dataset() -> Dataset:
    return Dataset(NAMES, [sample([BOX], [0])] * 3, "nowhere", "val", ("2 boxes were odd",))


def test_class_numbers_are_the_data_sets(dataset):
    assert [found.class_ids.tolist() for found in predict(Finder(), dataset)] == [[0]] * 3


def test_accuracy_with_its_remarks_and_progress(dataset):
    steps = []
    accuracy = evaluate(Finder(), dataset, lambda *step: steps.append(step))
    assert accuracy.map == pytest.approx(1.0)
    assert accuracy.remarks[0] == "2 boxes were odd"
    assert "does not know dog" in accuracy.remarks[1]
    assert steps == [(1, 3, "evaluating"), (2, 3, "evaluating"), (3, 3, "evaluating")]


def test_the_defaults_of_an_evaluation():
    assert EVALUATION == {
        "score": 0.01, "iou": 0.65, "class_agnostic": False, "multi_label": True,
        "max_candidates": 1000, "max_detections": 300,
    }  # fmt: skip
