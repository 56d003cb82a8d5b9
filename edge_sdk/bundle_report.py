"""The page that a build leaves in its bundle: what runs how, how fast, and what was clipped."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_sdk.calibration.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from edge_sdk.calibration import Calibration
    from edge_sdk.calibration.observers import Histogram
    from edge_sdk.engine_trial import EngineTrial
    from edge_sdk.head_spec import HeadSpec
    from edge_sdk.hybrid_plan import HybridPlan
    from edge_sdk.precision_plan import PrecisionPlan
    from edge_sdk.quantization_table import QuantizationTable

SHOWN = 6
"""Histograms on the page: the tensors whose ranges were cut the most."""
STEPS = 127
"""Steps of the table's grid from zero to the end of a range."""


def bundle_report(
    spec: HeadSpec,
    calibration: Calibration,
    table: QuantizationTable,
    plan: PrecisionPlan,
    trial: EngineTrial,
    search: HybridPlan | None = None,
    show: Path | str | None = None,
) -> str:
    """Return the page as HTML."""
    height, width = spec.input_size
    report = Report(
        f"{spec.family}, {spec.num_classes} classes, for {plan.target}",
        f"Input {height} x {width}, calibrated on {len(calibration.images)} images.",
    )
    layers = sum(len(group.layers) for group in plan.groups)
    speedup = "not timed" if trial.speedup is None else f"{trial.speedup:.2f}x"
    report.facts(
        "In short",
        [
            ("INT8 layers", f"{len(plan.int8_layers)} of {layers}"),
            ("INT8 share of the MACs", f"{100 * plan.share():.1f} %"),
            ("INT8 is faster by", speedup),
            ("Model key", plan.model_key[:12]),
        ],
    )
    if trial.times:
        conditions = trial.measured()["conditions"]
        report.bars(
            "One inference, median",
            [(name, timing.median) for name, timing in trial.times.items()],
            "ms",
            f"Engine alone, random input, in turn; {conditions['threads']} threads of "
            f"{conditions['cpu']}, load {conditions['load']}, {conditions['date']}.",
        )
    worst = sorted(table.activations, key=lambda name: -_cut(calibration, table, name))[:SHOWN]
    report.picture(
        "The ranges that were cut the most",
        _histograms(calibration, table, worst),
        "How often each magnitude occurred in calibration (log scale); beyond the blue line "
        "values are clipped.",
    )
    report.table(
        "Layer groups",
        ["group", "layers", "MACs", "precision", "why"],
        [
            [g.name, str(len(g.layers)), f"{g.macs / 1e6:.1f} M", g.precision, g.why]
            for g in plan.groups
        ],
        "plan.yaml holds the same, to be edited and built again.",
    )
    return report.html()


def _cut(calibration: Calibration, table: QuantizationTable, name: str) -> float:
    """Return the largest magnitude in units of the range."""
    return calibration.histograms[name].largest / (STEPS * table.activations[name].scale)


def _histograms(calibration: Calibration, table: QuantizationTable, names: list[str]) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5.2), layout="constrained")
    for place, name in enumerate(names, start=1):
        axes = figure.add_subplot(2, (SHOWN + 1) // 2, place)
        draw_range(axes, calibration.histograms[name], STEPS * table.activations[name].scale)
        axes.set_title(name, fontsize=8)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=100)
    return picture.getvalue()


def draw_range(axes: Axes, histogram: Histogram, clip: float) -> None:
    """Draw a histogram with the lines where its range ends."""
    bins = len(histogram.counts)
    left = (np.arange(bins) - bins // 2 * histogram.signed) * histogram.width
    counts = np.maximum(histogram.counts, 0.5)
    axes.fill_between(left, counts, 0.5, color="#7a8797", step="post")
    for line in (-clip, clip) if histogram.signed else (clip,):
        axes.axvline(line, color="#1668c5", linewidth=2)
    axes.set_yscale("log")
    axes.set_xlim(min(0.0, histogram.minimum), max(histogram.maximum, clip))
    axes.spines[["top", "right"]].set_visible(False)
