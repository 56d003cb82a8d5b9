from __future__ import annotations

import numpy as np
import pytest
from labelled import NAMES, NOTHING, detections, random_case, sample

from edge_sdk.errors import EdgeError
from edge_sdk.evaluation import (
    match,
    mean_average_precision,
    paired_difference,
    paired_differences,
)
from edge_sdk.evaluation.bootstrap import mean_ap

BOX = [10, 10, 60, 60]


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_the_whole_set_agrees_with_the_evaluator(seed, ties):
    predictions, samples = random_case(seed, ties=ties)
    ours = mean_ap(match(predictions, samples, NAMES), np.ones((1, len(samples)), np.int32))[0]
    theirs = mean_average_precision(predictions, samples, NAMES).map
    assert theirs > 0
    assert ours == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_a_weight_is_as_good_as_copies_of_the_image(seed):
    predictions, samples = random_case(seed)
    weights = np.random.default_rng(seed).multinomial(20, [0.05] * 20).astype(np.int32)
    ours = mean_ap(match(predictions, samples, NAMES), weights[None])[0]
    copies = np.repeat(np.arange(20), weights)
    theirs = mean_average_precision(
        [predictions[index] for index in copies], [samples[index] for index in copies], NAMES
    )
    assert ours == pytest.approx(theirs.map, abs=1e-9)


def test_of_two_objects_overlapped_alike_the_last_is_taken():
    """The first detection lies between both; taking the first object would rob the second."""
    truth = sample([[0, 0, 10, 10], [4, 0, 14, 10]], [0, 0])
    found = detections([[2, 0, 12, 10], [0, 0, 10, 10]], [0, 0], [0.9, 0.8])
    matches = match([found], [truth], NAMES)
    assert matches[0].hit[0].tolist() == [True, True]
    theirs = mean_average_precision([found], [truth], NAMES).map
    assert mean_ap(matches, np.ones((1, 1), np.int32))[0] == pytest.approx(theirs, abs=1e-9)


def test_more_than_a_hundred_of_a_class():
    boxes = np.random.default_rng(0).integers(0, 50, (150, 4)).astype(float)
    boxes[:, 2:] += boxes[:, :2] + 20
    found = detections(boxes, np.zeros(150), np.linspace(0.9, 0.1, 150))
    case = ([found], [sample(boxes[::3], np.zeros(50))], NAMES)
    ours = mean_ap(match(*case), np.ones((1, 1), np.int32))[0]
    assert ours == pytest.approx(mean_average_precision(*case).map, abs=1e-9)


def test_a_detector_is_as_good_as_itself():
    predictions, samples = random_case(0)
    matches = match(predictions, samples, NAMES)
    difference = paired_difference(matches, matches, resamples=100)
    assert (difference.value, difference.lower, difference.upper) == (0, 0, 0)


def test_a_clear_loss_has_both_bounds_on_its_side():
    rng = np.random.default_rng(0)
    samples = [sample([BOX], [0]) for _ in range(60)]
    good = [detections([BOX], [0], [0.9]) for _ in samples]
    shifts = rng.integers(0, 12, 60)
    poor = [detections([[10 + by, 10, 60 + by, 60]], [0], [0.9]) for by in shifts]
    first, second = match(good, samples, NAMES), match(poor, samples, NAMES)
    loss = paired_difference(first, second, resamples=300)
    assert 0 < loss.lower < loss.value < loss.upper
    assert loss.value == pytest.approx(
        1 - mean_average_precision(poor, samples, NAMES).map, abs=1e-9
    )
    gain = paired_difference(second, first, resamples=300)
    assert (gain.lower, gain.upper) == pytest.approx((-loss.upper, -loss.lower))


def test_the_bounds_cover_the_truth_as_often_as_they_say():
    """Hits with probability 0.7 and 0.6 on one easy object an image: a difference of 0.1."""
    rng = np.random.default_rng(1)
    sure = detections([BOX], [0], [0.9])
    covered = 0
    for _ in range(40):
        samples = [sample([BOX], [0])] * 80
        chance = rng.random((2, 80)) < [[0.7], [0.6]]
        found = [[sure if hit else NOTHING for hit in one] for one in chance]
        sets = [match(one, samples, NAMES) for one in found]
        difference = paired_difference(*sets, resamples=100)
        covered += difference.lower <= 0.1 <= difference.upper
    assert 34 <= covered < 40  # 38 are expected; fewer than 34 happen once in 100 times


def test_a_seed_repeats_itself_and_another_does_not():
    predictions, samples = random_case(3)
    first = match(predictions, samples, NAMES)
    second = match([NOTHING] * len(samples), samples, NAMES)
    one, same, other = (
        paired_difference(first, second, resamples=50, seed=seed) for seed in (0, 0, 1)
    )
    assert one == same
    assert one.lower != other.lower
    assert one.to_dict()["resamples"] == 50


def test_what_cannot_be_compared_is_refused():
    first = match([NOTHING], [sample([BOX], [0])], NAMES)
    second = match([NOTHING], [sample([BOX], [1])], NAMES)
    with pytest.raises(EdgeError, match="not of the same images"):
        paired_difference(first, second)
    empty = match([NOTHING], [sample([], [])], NAMES)
    with pytest.raises(EdgeError, match="hold no object"):
        paired_difference(empty, empty)


def test_several_detectors_are_compared_as_one_by_one():
    predictions, samples = random_case(3)
    first = match(predictions, samples, NAMES)
    others = [match(predictions[::-1], samples, NAMES), first]
    together = paired_differences(first, others, resamples=60, seed=2)
    assert together == [paired_difference(first, one, resamples=60, seed=2) for one in others]
    assert together[0].value != together[1].value == 0


def test_samples_of_a_block_are_drawn_together():
    """Copies of every image tell no more than the images do."""
    predictions, samples = random_case(3)
    others = predictions[::-1]
    (once,) = paired_differences(
        match(predictions, samples, NAMES), [match(others, samples, NAMES)], resamples=60
    )
    thrice = [index for index in range(len(samples)) for _ in range(3)]
    sides = [
        match([side[i] for i in thrice], [samples[i] for i in thrice], NAMES)
        for side in (predictions, others)
    ]
    (together,) = paired_differences(sides[0], sides[1:], resamples=60, block=3)
    (apart,) = paired_differences(sides[0], sides[1:], resamples=60)
    assert together.images == once.images
    assert together.upper - together.lower > 1.3 * (apart.upper - apart.lower)
    assert together.upper - together.lower == pytest.approx(once.upper - once.lower, rel=0.2)
