"""How long the candidates take, all in turn on one image."""

from __future__ import annotations

import time

import numpy as np
from hybrid_workshop import Candidate
from measure import Timing, interleaved

from edge_sdk.head_spec import HeadSpec
from edge_sdk.runtime import open_engine

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
"""The clock of the processor is for busy machines: it stands still while others run."""


def latencies(
    candidates: list[Candidate],
    target: str,
    spec: HeadSpec,
    image: np.ndarray,
    *,
    threads: int,
    repetitions: int,
    clock: str,
) -> dict[str, Timing]:
    """Return milliseconds of one inference by candidate.

    Parameters
    ----------
    image : float32 [3, H, W], what all of them work on.
    clock : one of `CLOCKS`.
    """
    engines = {one.name: open_engine(one.file, target, spec, threads) for one in candidates}
    workers = {name: engine.worker() for name, engine in engines.items()}
    for worker in workers.values():
        worker.input[...] = image
    return interleaved(workers, repetitions=repetitions, clock=CLOCKS[clock])
