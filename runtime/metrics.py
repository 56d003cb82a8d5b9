"""How long things took: every sample counts, in memory that does not grow.

Durations are counted in bins whose edges lie 1 % apart, so a percentile is at most half a
percent off, and stays so over weeks; mean and maximum are exact.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from math import ceil, log, nan, sqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

SHORTEST, LONGEST = 1e-6, 1e4
"""Seconds; what is shorter or longer is counted at the ends."""

RATIO = 1.01
"""Between the edges of a bin."""

_SCALE = 1 / log(RATIO)
_OFFSET = -log(SHORTEST) * _SCALE
_BINS = ceil(log(LONGEST / SHORTEST) * _SCALE)


class Percentiles(NamedTuple):
    """Of `n` durations in milliseconds; not a number where there is none."""

    n: int
    mean: float
    p50: float
    p95: float
    p99: float
    max: float


class Snapshot(NamedTuple):
    """The durations of a stage up to a moment: counts by bin int64 [bins], sum and maximum."""

    counts: npt.NDArray[np.int64]
    total: float
    longest: float

    def since(self, mark: Snapshot) -> Snapshot:
        """Return what has come after a mark; its maximum is within half a percent."""
        counts = self.counts - mark.counts
        found = np.flatnonzero(counts)
        longest = min(_centre(int(found[-1])), self.longest) if found.size else 0.0
        return Snapshot(counts, self.total - mark.total, longest)

    def percentiles(self) -> Percentiles:
        """Return the figures."""
        n = int(self.counts.sum())
        if not n:
            return Percentiles(0, nan, nan, nan, nan, nan)
        below = np.cumsum(self.counts)
        places = np.searchsorted(below, np.ceil(np.array([0.5, 0.95, 0.99]) * n))
        p50, p95, p99 = (min(_centre(int(place)), self.longest) * 1e3 for place in places)
        return Percentiles(n, self.total / n * 1e3, p50, p95, p99, self.longest * 1e3)


def together(snapshots: Iterable[Snapshot]) -> Snapshot:
    """Return several as one."""
    parts = list(snapshots)
    return Snapshot(
        np.sum([part.counts for part in parts], 0),
        sum(part.total for part in parts),
        max(part.longest for part in parts),
    )


class StageClock:
    """Durations of named stages, in seconds; one thread a stage may add, any may look."""

    def __init__(self, stages: Sequence[str]) -> None:
        self._stages = {stage: _Counter() for stage in stages}

    def add(self, stage: str, seconds: float) -> None:
        """Count one duration."""
        self._stages[stage].add(seconds)

    def snapshot(self) -> dict[str, Snapshot]:
        """Return the durations of each stage so far."""
        return {stage: counter.snapshot() for stage, counter in self._stages.items()}


class _Counter:
    def __init__(self) -> None:
        self._counts = array("q", bytes(8 * _BINS))
        self._total = self._longest = 0.0

    def add(self, seconds: float) -> None:
        place = int(log(seconds) * _SCALE + _OFFSET) if seconds > SHORTEST else 0
        self._counts[place if place < _BINS else -1] += 1
        self._total += seconds
        if seconds > self._longest:
            self._longest = seconds

    def snapshot(self) -> Snapshot:
        return Snapshot(np.array(self._counts, np.int64), self._total, self._longest)


def _centre(place: int) -> float:
    """Return the middle of a bin, in seconds."""
    return SHORTEST * RATIO**place * sqrt(RATIO)
