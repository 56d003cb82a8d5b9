"""How long a detector takes, stage by stage, with every sample counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sdk.progress import Progress, silent
from edge_sdk.runtime.detector import Detector

STAGES = ("letterbox", "inference", "postprocess", "total")


@dataclass(frozen=True)
class StageLatency:
    """Percentiles of one stage in milliseconds, linearly interpolated over `samples` calls."""

    mean: float
    p50: float
    p90: float
    p99: float
    max: float
    samples: int


@dataclass(frozen=True)
class Latency:
    """How long one frame takes, from a BGR frame in memory to detections, by stage."""

    letterbox: StageLatency
    inference: StageLatency
    postprocess: StageLatency
    total: StageLatency

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)


def measure_latency(
    detectors: Mapping[str, Detector],
    frames: Sequence[npt.NDArray[np.uint8]],
    *,
    repetitions: int = 200,
    warmup: int = 20,
    progress: Progress = silent,
) -> dict[str, Latency]:
    """Time detectors in turn, frame by frame, so that the machine's moods hit all alike.

    Parameters
    ----------
    detectors : name -> detector.
    frames : BGR uint8 [h, w, 3], used in rotation; at least one.
    repetitions : timed calls of each detector.
    warmup : calls of each before them, which are not counted.
    """
    times: dict[str, list[tuple[float, ...]]] = {name: [] for name in detectors}
    for index in range(-warmup, repetitions):
        for name, detector in detectors.items():
            _, stages = detector.timed(frames[index % len(frames)])
            if index >= 0:
                times[name].append((*stages, stages.total))
        progress(index + warmup + 1, repetitions + warmup, "timing")
    return {name: _latency(values) for name, values in times.items()}


def _latency(times: list[tuple[float, ...]]) -> Latency:
    samples = 1000 * np.asarray(times, np.float64)
    return Latency(**{stage: _stage(samples[:, index]) for index, stage in enumerate(STAGES)})


def _stage(samples: npt.NDArray[np.float64]) -> StageLatency:
    p50, p90, p99 = np.percentile(samples, (50, 90, 99)).tolist()
    return StageLatency(float(samples.mean()), p50, p90, p99, float(samples.max()), len(samples))
