"""The demo's report."""

from __future__ import annotations

from pathlib import Path

from figures import Figures

from edge_sdk.bundle import Bundle
from edge_sdk.calibration.report import Report
from edge_sdk.runtime import Summary


def write_page(path: Path, bundle: Path, figures: Figures, stream: Summary, picture: Path) -> None:
    """Write the page that shows accuracy, speed and the stream, and the picture of the run."""
    with Bundle.open(bundle) as opened:
        precision, key = opened.manifest["precision"], opened.manifest["model_key"]
    loss = figures.loss
    report = Report("YOLO-NAS-N on the test camera", f"Measured with {figures.conditions}.")
    int8 = precision["int8_layers"]
    report.facts(
        "In short",
        [
            ("INT8 layers", f"{int8} of {int8 + precision['float_layers']}"),
            ("INT8 is faster by", f"{figures.speedup:.2f}x"),
            ("Points of mAP50-95 lost", f"{100 * loss.value:.2f}"),
            ("95 % bounds", f"{100 * loss.lower:.2f} to {100 * loss.upper:.2f}"),
            ("Streamed at", f"{stream.fps:.0f} frames/s"),
            ("Model key", key[:12]),
        ],
        f"Accuracy on {loss.images} frames of streets that neither training nor calibration saw; "
        "bounds by paired bootstrap over frames.",
    )
    report.picture("The run", picture.read_bytes(), "Float and INT8 on the same frame.")
    rows = figures.rows.items()
    report.bars("mAP50-95", [(n, r.accuracy.map or 0.0) for n, r in rows], "")
    report.bars(
        "Engine alone, median", [(n, r.latency.inference.p50) for n, r in rows], "ms",
        "Both timed in turn, frame by frame, in one run.",
    )  # fmt: skip
    report.table(
        "Accuracy by class, AP50-95",
        ["class", "objects", *figures.rows],
        [
            [
                name,
                str(one.objects),
                *(f"{r.accuracy.per_class[name].map or 0:.3f}" for _, r in rows),
            ]
            for name, one in figures.rows["float"].accuracy.per_class.items()
        ],
    )
    report.table(
        "Frame to detections, ms",
        ["", "median", "p90", "p99", "max"],
        [
            [
                f"{n}: {stage}",
                *(
                    f"{getattr(getattr(r.latency, stage), p):.2f}"
                    for p in ("p50", "p90", "p99", "max")
                ),
            ]
            for n, r in rows
            for stage in ("letterbox", "inference", "postprocess", "total")
        ],
    )
    report.table(
        "The stream, ms",
        ["stage", "median", "p95", "p99", "max"],
        [
            [name, *(f"{getattr(stage, p):.2f}" for p in ("p50", "p95", "p99", "max"))]
            for name, stage in stream.stages.items()
            if stage.n
        ],
        "One frame, stage by stage; the stages run side by side. `age` is from capture until the "
        "result was handed over.",
    )
    report.write(path)
