from __future__ import annotations

import math

import pytest

from edge_sdk.runtime.metrics import StageClock, percentiles


def test_percentiles_are_of_all_samples() -> None:
    found = percentiles([*range(1, 101), 1000])
    assert found.n == 101
    assert (found.p50, found.p95, found.p99, found.max) == (51, 96, 100, 1000)
    assert found.mean == pytest.approx(6050 / 101)


def test_no_samples_are_no_number() -> None:
    found = percentiles([])
    assert found.n == 0
    assert all(math.isnan(value) for value in found[1:])


def test_clock_tells_milliseconds_of_all_and_since_a_mark() -> None:
    clock = StageClock(("read", "wait"))
    clock.add("read", 0.5)
    mark = clock.counts()
    clock.add("read", 0.25)
    clock.add("wait", 0.125)
    assert clock.summary()["read"][:3] == (2, 375, 375)
    assert clock.summary(mark)["read"][:3] == (1, 250, 250)
    assert clock.summary(mark)["wait"].max == 125
