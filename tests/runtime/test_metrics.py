from __future__ import annotations

import math
import sys
from time import perf_counter

import numpy as np
import pytest

from edge_sdk.runtime.metrics import StageClock, together


def clock(samples: list[float]) -> StageClock:
    made = StageClock(("read", "wait"))
    for sample in samples:
        made.add("read", sample)
    return made


@pytest.mark.parametrize("spread", [0.1, 1.0, 3.0])
def test_percentiles_are_within_half_a_percent(spread: float) -> None:
    samples = np.random.default_rng(0).lognormal(-4, spread, 20_000).clip(2e-6, 9e3)
    found = clock(samples.tolist()).snapshot()["read"].percentiles()
    assert found.n == 20_000
    assert found.mean == pytest.approx(samples.mean() * 1e3)
    assert found.max == samples.max() * 1e3
    exact = np.percentile(samples * 1e3, (50, 95, 99), method="inverted_cdf")
    assert (found.p50, found.p95, found.p99) == pytest.approx(tuple(exact), rel=0.0051)


def test_extremes_are_counted_at_the_ends() -> None:
    found = clock([0.0, 1e-9, 1e9]).snapshot()["read"].percentiles()
    assert found.n == 3
    assert found.max == 1e12
    assert found.p50 < 2e-3


def test_no_samples_are_no_number() -> None:
    found = clock([]).snapshot()["wait"].percentiles()
    assert found.n == 0
    assert all(math.isnan(value) for value in found[1:])


def test_snapshots_since_a_mark_and_together() -> None:
    made = clock([5.0])
    mark = made.snapshot()["read"]
    made.add("read", 0.25)
    made.add("read", 0.5)
    since = made.snapshot()["read"].since(mark).percentiles()
    assert since.n == 2
    assert since.mean == 375
    assert (since.p50, since.max) == pytest.approx((250, 500), rel=0.005)
    assert mark.since(mark).percentiles().n == 0
    both = together([mark, made.snapshot()["read"]]).percentiles()
    assert (both.n, both.max, both.mean) == (4, 5000, pytest.approx(10750 / 4))


def test_memory_does_not_grow_and_adding_is_quick() -> None:
    """Well below one percent of a frame's time, for all stages together."""
    made = clock([])
    before = sys.getsizeof(made.snapshot()["read"].counts)
    start = perf_counter()
    for _ in range(20_000):
        made.add("read", 0.0123)
    assert (perf_counter() - start) / 20_000 < 20e-6
    assert sys.getsizeof(made.snapshot()["read"].counts) == before
