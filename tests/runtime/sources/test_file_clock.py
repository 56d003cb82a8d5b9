from __future__ import annotations

from math import nan

import pytest

from edge_sdk.runtime.sources.file_clock import FileClock


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([5.0, 5.1, 5.5, 5.6], [0, 0.1, 0.5, 0.6]),
        ([0.0] * 4, [0, 0.1, 0.2, 0.3]),
        ([None] * 4, [0, 0.1, 0.2, 0.3]),
        ([nan] * 4, [0, 0.1, 0.2, 0.3]),
        ([0.0, 0.3, 0.2, 0.5], [0, 0.3, 0.4, 0.5]),
        ([3.0, 0.0, 0.1, 0.2], [0, 0.1, 0.2, 0.3]),
        ([None, 7.0, None, 7.5], [0, 0.1, 0.2, 0.6]),
    ],
)
def test_times_are_the_files_where_they_make_sense(
    told: list[float | None], expected: list[float]
) -> None:
    clock = FileClock(10)
    assert [clock(each) for each in told] == pytest.approx(expected)


def test_time_goes_on_over_the_rounds() -> None:
    clock, found = FileClock(10), []
    for _ in range(2):
        clock.begin()
        found += [clock(told) for told in (1.0, 1.5)]
    assert found == pytest.approx([0, 0.5, 0.6, 1.1])
