"""Interleaved timing: what is compared runs in turn, so that the machine's moods hit all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np


class Timing(NamedTuple):
    """Milliseconds over `n` samples, none left out."""

    median: float
    p10: float
    p90: float
    n: int


SETTLE = 0.5
"""Seconds after which a GPU that was idle has raised its clocks."""


def settle(work: Callable[[], Any], seconds: float = SETTLE) -> None:
    """Do work, once at least, for so long that what is timed next runs at full clocks."""
    until = time.monotonic() + seconds
    work()
    while time.monotonic() < until:
        work()


def interleaved(
    work: Mapping[str, Callable[[], Any]],
    *,
    repetitions: int = 20,
    warmup: int = 3,
    settling: float = 0.0,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Timing]:
    """Run the callables in turn, round after round, and time each call.

    Parameters
    ----------
    work : name -> callable without arguments.
    repetitions : timed rounds.
    warmup : rounds before them that are not timed.
    settling : seconds of further such rounds (see `settle`); 0 for none.
    clock : returns seconds.

    Returns
    -------
    dict
        Name -> `Timing`, in the order of `work`.
    """
    samples: dict[str, list[float]] = {name: [] for name in work}

    def once() -> None:
        for call in work.values():
            call()

    for _ in range(warmup):
        once()
    if settling:
        settle(once, settling)
    for _ in range(repetitions):
        for name, call in work.items():
            start = clock()
            call()
            samples[name].append(1000 * (clock() - start))
    return {name: _timing(values) for name, values in samples.items()}


def _timing(values: list[float]) -> Timing:
    p10, median, p90 = np.percentile(values, (10, 50, 90)).tolist()
    return Timing(median, p10, p90, len(values))
