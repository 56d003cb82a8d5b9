"""How long things took: every sample is kept, so that no percentile is an estimate."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Percentiles(NamedTuple):
    """Of `n` durations, in the unit of the samples; not a number where there is none."""

    n: int
    mean: float
    p50: float
    p95: float
    p99: float
    max: float


def percentiles(samples: Sequence[float] | npt.NDArray[np.float64]) -> Percentiles:
    """Return the percentiles of all samples, linearly interpolated."""
    values = np.asarray(samples, np.float64)
    if not values.size:
        return Percentiles(0, *[float("nan")] * 5)
    p50, p95, p99 = np.percentile(values, (50, 95, 99)).tolist()
    return Percentiles(values.size, float(values.mean()), p50, p95, p99, float(values.max()))


class StageClock:
    """Durations of named stages, in seconds; any thread may add.

    `summary` gives milliseconds, because that is what people compare.
    """

    def __init__(self, stages: Sequence[str]) -> None:
        self._samples = {stage: array("d") for stage in stages}

    def add(self, stage: str, seconds: float) -> None:
        """Keep one duration."""
        self._samples[stage].append(seconds)

    def counts(self) -> dict[str, int]:
        """Return how many durations there are, a mark for `summary`."""
        return {stage: len(samples) for stage, samples in self._samples.items()}

    def summary(self, since: dict[str, int] | None = None) -> dict[str, Percentiles]:
        """Return the percentiles of each stage in milliseconds, of all or since a mark."""
        return {
            stage: percentiles(np.array(samples[since[stage] if since else 0 :]) * 1e3)
            for stage, samples in self._samples.items()
        }
