from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.calibration.observers import BINS, Histogram, merged


def batches(seed: int, count: int = 6) -> list[np.ndarray]:
    """Arrays whose magnitudes differ by orders, some of them all zero."""
    rng = np.random.default_rng(seed)
    scales = 10.0 ** rng.uniform(-6, 6, count) * (rng.random(count) > 0.2)
    return [(rng.laplace(size=(3, 50)) * scale).astype(np.float32) for scale in scales]


def histogram_of(signed: bool, arrays: list[np.ndarray]) -> Histogram:
    histogram = Histogram(signed)
    for array in arrays:
        histogram.add(array)
    return histogram


def same(one: Histogram, other: Histogram) -> bool:
    return np.array_equal(one.counts, other.counts) and (
        (one.signed, one.exponent, one.zeros, one.minimum, one.maximum)
        == (other.signed, other.exponent, other.zeros, other.minimum, other.maximum)
    )


@pytest.mark.parametrize("signed", [True, False])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_counts_depend_on_the_values_alone(signed: bool, seed: int) -> None:
    arrays = batches(seed)
    if not signed:
        arrays = [np.abs(array) for array in arrays]
    streamed = histogram_of(signed, arrays)
    at_once = histogram_of(signed, [np.concatenate(arrays[::-1])])
    parts = merged([histogram_of(signed, [array]) for array in arrays])
    assert same(streamed, at_once)
    assert same(streamed, parts)
    assert streamed.total == sum(array.size for array in arrays)


@pytest.mark.parametrize("signed", [True, False])
def test_counts_are_those_of_numpy(signed: bool) -> None:
    values = np.random.default_rng(0).normal(size=100_000).astype(np.float32)
    values = values if signed else np.abs(values)
    histogram = histogram_of(signed, [values])
    limit = BINS * histogram.width
    edges = np.linspace(-limit if signed else 0, limit, histogram.counts.size + 1)
    assert np.array_equal(histogram.counts, np.histogram(values, edges)[0])
    assert limit / 2 <= histogram.largest < limit


def test_the_largest_magnitude_of_every_channel_is_kept() -> None:
    histogram = Histogram(True, peaks=np.zeros(2, np.float32))
    for values in ([[1.0, -3.0], [0.0, 0.5]], [[2.0, 0.0], [-0.25, 0.0]]):
        histogram.add(np.array(values, np.float32).reshape(1, 2, 2, 1))
    assert histogram.peaks.tolist() == [3.0, 0.5]
    histogram.check()
    histogram.peaks[0] = 2.0
    with pytest.raises(ValueError, match="cannot be"):
        histogram.check()


def test_memory_does_not_grow_with_the_values() -> None:
    histogram = histogram_of(True, batches(1, 50))
    assert histogram.counts.shape == (2 * BINS,)
    assert histogram.counts.dtype == np.int64


def test_zeros_are_counted_apart() -> None:
    values = np.array([0, 0, -0.0, 1, 2], np.float32)
    histogram = histogram_of(False, [values, np.zeros(7, np.float32)])
    assert (histogram.zeros, histogram.total) == (10, 12)


def test_a_dead_tensor() -> None:
    histogram = histogram_of(False, [np.zeros((2, 3), np.float32)])
    assert histogram.is_dead
    assert histogram.magnitudes()[0] == 6
    histogram.add(np.array([3.0], np.float32))
    assert not histogram.is_dead
    assert histogram.largest == 3.0


def test_the_extremes_of_float32() -> None:
    limits = np.finfo(np.float32)
    histogram = histogram_of(True, [np.array([limits.smallest_subnormal, limits.tiny], np.float32)])
    histogram.add(np.array([limits.max, limits.min], np.float32))
    assert histogram.total == 4
    assert (histogram.minimum, histogram.maximum) == (limits.min, limits.max)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused_whole(bad: float) -> None:
    histogram = histogram_of(True, [np.ones(3, np.float32)])
    with pytest.raises(ValueError, match="NaN or infinite"):
        histogram.add(np.array([1, bad, 2], np.float32))
    assert same(histogram, histogram_of(True, [np.ones(3, np.float32)]))


def test_negative_values_are_refused_where_the_graph_excludes_them() -> None:
    with pytest.raises(ValueError, match="negative values"):
        Histogram(signed=False).add(np.array([1, -0.5], np.float32))


def test_one_signed_member_makes_the_merged_histogram_signed() -> None:
    positive = histogram_of(False, [np.array([0, 1, 40], np.float32)])
    negative = histogram_of(True, [np.array([-3, 2], np.float32)])
    both = merged([positive, negative])
    assert same(both, histogram_of(True, [np.array([0, 1, 40, -3, 2], np.float32)]))
    assert merged([positive, positive]).signed is False


def test_minimum_of_values_that_are_all_positive() -> None:
    histogram = histogram_of(False, [np.array([3, 4], np.float32), np.array([2], np.float32)])
    assert (histogram.minimum, histogram.maximum) == (2.0, 4.0)
