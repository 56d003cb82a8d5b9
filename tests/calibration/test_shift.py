from dataclasses import replace

import numpy as np
import pytest
from tiny import tiny_spec

from edge_sdk.calibration.shift import LARGEST_SQNR, Shift, image_shift, mean_shift, shift
from edge_sdk.head_spec import HeadSpec

Outputs = list[np.ndarray]


def dfl(classes: float, bin_of: int) -> Outputs:
    """One confident anchor at the first cell of the finest map; all boxes end at one bin."""
    spec = tiny_spec((64, 64))
    maps = [(spec.num_classes, 64 // s, 64 // s) for s in spec.strides]
    logits = [np.full(shape, -20.0, np.float32) for shape in maps]
    logits[0][1, 0, 0] = classes
    distances = []
    for _, height, width in maps:
        bins = np.full((4, spec.reg_max + 1, height, width), -30.0, np.float32)
        bins[:, bin_of] = 30.0
        distances.append(bins.reshape(-1, height, width))
    return [*logits, *distances]


def test_nothing_moves() -> None:
    outputs = dfl(2.0, 3)
    assert image_shift(tiny_spec((64, 64)), outputs, outputs) == Shift(0.0, 0.0, LARGEST_SQNR)


def test_boxes_are_in_strides_and_weighted_by_score() -> None:
    moved = image_shift(tiny_spec((64, 64)), dfl(2.0, 3), dfl(2.0, 5))
    assert moved.boxes == pytest.approx(2.0)
    assert moved.scores == 0.0


def test_scores_are_a_divergence_over_the_anchors() -> None:
    spec = tiny_spec((64, 64))
    p, q = 1 / (1 + np.exp(-2.0)), 0.5
    expected = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    moved = image_shift(spec, dfl(2.0, 3), dfl(0.0, 3))
    anchors = min(100, spec.num_anchors)
    assert moved.scores == pytest.approx(expected / anchors, rel=1e-6)
    assert moved.loss == moved.scores


def test_what_appears_out_of_nothing_counts() -> None:
    spec = tiny_spec((128, 128))
    before = [
        np.full((spec.num_classes, 128 // s, 128 // s), -20.0, np.float32) for s in (8, 16, 32)
    ]
    after = [one.copy() for one in before]
    after[0][0, -1, -1] = 3.0
    boxes = [np.zeros((68, 128 // s, 128 // s), np.float32) for s in (8, 16, 32)]
    assert image_shift(spec, [*before, *boxes], [*after, *boxes]).scores > 0.01


def test_what_happens_to_labelled_objects_counts() -> None:
    """The confident anchor is the first cell of the finest map, with its centre at (4, 4)."""
    spec = tiny_spec((128, 128))
    maps = [(spec.num_classes, 128 // s, 128 // s) for s in spec.strides]
    before = [np.full(shape, -20.0, np.float32) for shape in maps]
    boxes = [np.zeros((68, *shape[1:]), np.float32) for shape in maps]
    after = [one.copy() for one in before]
    before[0][0, 0, 0], after[0][0, 0, 0] = 2.0, 0.0
    p, q = 1 / (1 + np.exp(-2.0)), 0.5
    expected = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))

    def scores(*objects: list[float]) -> float:
        labels = np.array(objects, np.float32).reshape(-1, 4)
        return image_shift(spec, [*before, *boxes], [*after, *boxes], objects=labels).scores

    # Three anchors of the object and three elsewhere, in place of a hundred.
    assert scores([0, 0, 40, 40]) == pytest.approx(expected / 6, rel=1e-4)
    assert scores([0, 0, 5, 5]) == pytest.approx(expected / 4, rel=1e-4)  # it holds one centre
    # It is a false alarm beside an object elsewhere: among the best that lie in none.
    assert scores([64, 64, 127, 127]) == pytest.approx(expected / 6, rel=1e-4)
    assert scores() == pytest.approx(expected / 100, rel=1e-4)


@pytest.mark.parametrize("layout", ["grid", "boxes", "decoded"])
def test_every_layout(layout: str) -> None:
    """A box that is one stride to the right, at stride 8; class probability 0.8 and 0.4."""
    spec = replace(
        tiny_spec((64, 64)),
        layout=layout,
        outputs={"predictions": ("p",)}
        if layout != "decoded"
        else {"boxes": ("b",), "scores": ("s",)},
    )
    (before, after) = (
        one(spec, x, p) for x, p in ((0.0, 0.8), (1.0, 0.4)) for one in (LAYOUTS[layout],)
    )
    moved = image_shift(spec, before, after)
    divergence = 0.8 * np.log(2) + 0.2 * np.log(0.2 / 0.6)
    assert moved.scores == pytest.approx(divergence / 84, rel=1e-3)
    assert moved.boxes == pytest.approx(0.5, rel=1e-3)  # two of the four sides


def grid(spec: HeadSpec, x: float, p: float) -> Outputs:
    rows = np.zeros((spec.num_anchors, 5 + spec.num_classes), np.float32)
    rows[0, [0, 4, 5]] = x, 1.0, p
    return [rows]


def boxes(spec: HeadSpec, x: float, p: float) -> Outputs:
    rows = np.zeros((4 + spec.num_classes, spec.num_anchors), np.float32)
    rows[[0, 2, 3], 0], rows[4, 0] = (8 * x, 8, 8), p
    return [rows]


def decoded(spec: HeadSpec, x: float, p: float) -> Outputs:
    corners = np.zeros((spec.num_anchors, 4), np.float32)
    corners[0] = 8 * x, 0, 8 * x + 8, 8
    scores = np.zeros((spec.num_anchors, spec.num_classes), np.float32)
    scores[0, 0] = p
    return [corners, scores]


LAYOUTS = {"grid": grid, "boxes": boxes, "decoded": decoded}


def test_the_mean_of_ratios_not_of_decibels() -> None:
    mean = mean_shift([Shift(0.2, 0.0, 20.0), Shift(0.4, 0.2, 10.0)])
    assert (mean.scores, mean.boxes) == pytest.approx((0.3, 0.1))
    assert mean.sqnr == pytest.approx(-10 * np.log10(0.055))


def test_several_images() -> None:
    spec = tiny_spec((64, 64))
    both = shift(spec, [dfl(2.0, 3)] * 2, [dfl(2.0, 3), dfl(2.0, 5)])
    assert both.boxes == pytest.approx(1.0)
