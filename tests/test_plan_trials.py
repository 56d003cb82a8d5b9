"""What a trial's figures are made of; whole trials are tested with the search."""

from types import SimpleNamespace

import numpy as np
import pytest

from edge_sdk.evaluation import ClassMatches, paired_difference
from edge_sdk.evaluation.timing import Timing
from edge_sdk.plan_trials import Laboratory


def matches(hits: list[bool]) -> tuple[ClassMatches, ...]:
    """One detection and one object in each image."""
    count = len(hits)
    hit = np.repeat(np.array([hits]), 10, axis=0)
    images = np.arange(count, dtype=np.int32)
    return (ClassMatches(images, hit, np.ones_like(hit), np.ones(count, np.int32)),)


def test_points_are_lost_against_float_and_bounded_from_above() -> None:
    exact, tried = matches([True] * 8), matches([True, False] * 4)
    laboratory = SimpleNamespace(
        dataset=object(), _float_matches=exact, _matches=lambda name: {"x": tried}[name]
    )
    lost, bound = Laboratory._drop(laboratory, "x")  # type: ignore[arg-type]
    expected = paired_difference(exact, tried)
    assert (lost, bound) == (100 * expected.value, 100 * expected.upper)
    assert bound > lost > 0
    laboratory.dataset = None
    assert Laboratory._drop(laboratory, "x") == (None, None)  # type: ignore[arg-type]


def test_the_ratio_is_that_of_the_short_times_to_floats() -> None:
    times = {"float": Timing(30.0, 20.0, 90.0, 15), "x": Timing(50.0, 5.0, 60.0, 15)}
    asked: list[object] = []
    trial = SimpleNamespace(times=times, time=lambda spec, names: asked.extend(names))
    laboratory = SimpleNamespace(timed=True, spec=None, _trial=trial)
    assert Laboratory._ratio(laboratory, "x") == pytest.approx(0.25)  # type: ignore[arg-type]
    assert asked == ["float", "x"]
