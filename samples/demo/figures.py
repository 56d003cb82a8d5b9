"""Float and INT8, measured side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_sdk import Detector
from edge_sdk.datasets import open_dataset
from edge_sdk.evaluation import (
    EVALUATION,
    Accuracy,
    Difference,
    match,
    mean_average_precision,
    paired_difference,
    predict,
)
from edge_sdk.evaluation.conditions import cpu_model
from edge_sdk.evaluation.latency import Latency, measure_latency
from edge_sdk.progress import Progress

THREADS = 2
FRAME_SIZE = "1280x720"
TIMED = 100


@dataclass(frozen=True)
class Row:
    """One model's figures."""

    accuracy: Accuracy
    latency: Latency


@dataclass(frozen=True)
class Figures:
    """What was measured.

    Attributes
    ----------
    rows : "float" and "INT8".
    loss : mAP50-95 of float less that of INT8, with its bounds.
    conditions : machine, threads and input, in words.
    """

    rows: dict[str, Row]
    loss: Difference
    conditions: str

    @property
    def speedup(self) -> float:
        """How many times as fast the INT8 engine is, by medians."""
        inference = [self.rows[name].latency.inference.p50 for name in ("float", "INT8")]
        return inference[0] / inference[1]


def measure(
    float_model: Path, bundle: Path, target: str, frames: int, progress: Progress
) -> Figures:
    """Evaluate and time the fused float model and the bundle on unseen frames."""
    streets = open_dataset(f"test://street?size={FRAME_SIZE}&frames={frames}", split="val")
    models = {"float": float_model, "INT8": bundle}
    accuracies, matches, detectors = {}, {}, {}
    for name, path in models.items():
        with Detector(path, target=target, **EVALUATION) as detector:
            predictions = predict(
                detector, streets, lambda d, n, _, name=name: progress(d, n, f"mAP of {name}")
            )
        accuracies[name] = mean_average_precision(predictions, streets.images, streets.names)
        matches[name] = match(predictions, streets.images, streets.names)
        detectors[name] = Detector(path, target=target, threads=THREADS)
    pictures = [sample.read() for sample in streets.images[:16]]
    latencies = measure_latency(detectors, pictures, repetitions=TIMED, progress=progress)
    for detector in detectors.values():
        detector.close()
    return Figures(
        {name: Row(accuracies[name], latencies[name]) for name in models},
        paired_difference(matches["float"], matches["INT8"]),
        f"{target}, {THREADS} threads of {cpu_model()}, {FRAME_SIZE} frames",
    )
