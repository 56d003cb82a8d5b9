"""A stream's metrics in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from edge_sdk.runtime.machine import clocks, temperatures

if TYPE_CHECKING:
    from edge_sdk.runtime.pipeline import Pipeline

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_Sample = tuple[str, dict[str, str], float]
"""What is added to the metric's name, labels, value."""


def exposition(pipeline: Pipeline) -> str:
    """Return the metrics of a stream so far; durations are of the whole stream, in seconds."""
    summary = pipeline.summary()
    counts, cameras = summary.counts.items(), summary.cameras.items()
    sinks = pipeline.sink_counts().items()
    stages: list[_Sample] = []
    for camera, clock in zip(pipeline.cameras, pipeline.mark(), strict=True):
        for stage, snapshot in clock.items():
            labels = {"camera": camera.name, "stage": stage}
            found = snapshot.percentiles()
            if found.n:
                stages += [
                    ("", {**labels, "quantile": quantile}, milliseconds / 1e3)
                    for quantile, milliseconds in (
                        ("0.5", found.p50), ("0.95", found.p95), ("0.99", found.p99),
                        ("1", found.max),
                    )
                ]  # fmt: skip
            stages += [("_sum", labels, snapshot.total), ("_count", labels, found.n)]
    metrics = (
        ("frames_captured_total", "counter", "Frames that a camera gave.",
         [("", {"camera": name}, count.captured) for name, count in counts]),
        ("frames_delivered_total", "counter", "Results that were handed over.",
         [("", {"camera": name}, count.delivered) for name, count in counts]),
        ("frames_dropped_total", "counter", "Frames without a result, by reason.",
         [("", {"camera": name, "reason": reason}, number)
          for name, count in counts for reason, number in count.dropped.items()]),
        ("camera_up", "gauge", "Whether a camera gives pictures as it should.",
         [("", {"camera": name}, camera["state"] == "live") for name, camera in cameras]),
        *(
            (f"{name}_total", "counter", words,
             [("", {"camera": camera}, about[key]) for camera, about in cameras])
            for name, key, words in (
                ("reconnects", "reconnects", "Times that a camera was lost and found again."),
                ("frames_damaged", "damaged", "Pictures that came incomplete."),
                ("frames_skipped", "skipped", "Pictures that nobody had time to decode."),
                ("frozen", "frozen", "Times that a picture was frozen."),
                ("black", "black", "Times that a picture was black."),
            )
        ),
        ("sink_failures_total", "counter", "Times that a sink failed.",
         [("", {"sink": name}, failures) for name, (failures, _) in sinks]),
        ("results_lost_total", "counter", "Results that a sink could not pass on.",
         [("", {"sink": name}, lost) for name, (_, lost) in sinks]),
        ("objects_total", "counter", "Objects that were given a number.",
         [("", {"camera": name}, camera["objects"]) for name, camera in cameras
          if "objects" in camera]),
        ("stage_seconds", "summary", "Durations of a frame's stages.", stages),
        ("temperature_celsius", "gauge", "Temperatures of the machine.",
         [("", {"sensor": name}, value) for name, value in temperatures().items()]),
        ("clock_hertz", "gauge", "Clocks of the machine.",
         [("", {"unit": name}, 1e6 * value) for name, value in clocks().items()]),
    )  # fmt: skip
    return "".join(_metric(*metric) for metric in metrics)


def _metric(name: str, kind: str, words: str, samples: Iterable[_Sample]) -> str:
    name = f"edge_sdk_{name}"
    lines = [f"# HELP {name} {words}", f"# TYPE {name} {kind}"]
    for suffix, labels, value in samples:
        inner = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        lines.append(f"{name}{suffix}{{{inner}}} {float(value):.9g}")
    return "\n".join(lines) + "\n" if len(lines) > 2 else ""


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
