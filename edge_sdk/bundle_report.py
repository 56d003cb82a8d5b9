"""The page that a build leaves in its bundle: what runs how, how fast, and what was clipped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_sdk.calibration.charts import range_chart
from edge_sdk.calibration.report import Report
from edge_sdk.report_images import CANDIDATES, differing_images
from edge_sdk.search_report import add_search

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from edge_sdk.calibration import Calibration
    from edge_sdk.calibration.observers import Histogram
    from edge_sdk.engine_trial import EngineTrial
    from edge_sdk.head_spec import HeadSpec
    from edge_sdk.hybrid_plan import GroupFacts, HybridPlan
    from edge_sdk.precision_plan import PrecisionPlan
    from edge_sdk.quantization_table import QuantizationTable

SHOWN = 6
"""Histograms on the page: the tensors whose ranges were cut the most."""


def bundle_report(
    spec: HeadSpec,
    calibration: Calibration | None,
    table: QuantizationTable,
    plan: PrecisionPlan,
    trial: EngineTrial,
    search: HybridPlan | None = None,
    show: Path | str | None = None,
    *,
    channels: int = 0,
) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    spec, calibration, table, plan : what was built; without a calibration if the table was given.
    trial : with the engines, still there.
    search : that the plan came from, if it came from one.
    show : images to draw boxes on; None takes frames of the test camera.
    channels : how many tensors are read with a range for each channel.
    """
    height, width = spec.input_size
    report = Report(
        f"{spec.family}, {spec.num_classes} classes, for {plan.target}",
        f"Input {height} x {width}, {_origin(calibration)}.",
    )
    layers = sum(len(group.layers) for group in plan.groups)
    speedup = "not timed" if trial.speedup is None else f"{trial.speedup:.2f}x"
    report.facts(
        "In short",
        [
            ("INT8 layers", f"{len(plan.int8_layers)} of {layers}"),
            ("INT8 share of the MACs", f"{100 * plan.share():.1f} %"),
            ("Tensors with a range for each channel", str(channels)),
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
    _add_network(report, trial)
    if search is not None:
        add_search(report, search)
    if calibration is not None:
        _add_ranges(report, calibration, table)
    if {"float", "int8"} <= set(trial.engines):
        _add_images(report, differing_images(spec, trial, show), show)
    _add_groups(report, plan, search)
    return report.html()


def _origin(calibration: Calibration | None) -> str:
    if calibration is None:
        return "with a quantization table that was given"
    return f"calibrated on {len(calibration.images)} images"


def _add_ranges(report: Report, calibration: Calibration, table: QuantizationTable) -> None:
    worst = sorted(table.activations, key=lambda name: -_cut(calibration, table, name))[:SHOWN]
    report.charts(
        "The ranges that were cut the most",
        [
            range_chart(calibration.histograms[name], table.activations[name].limit, name)
            for name in worst
        ],
        "How often each value occurred in calibration (log scale); beyond the blue line values "
        "are clipped.",
    )


def _add_network(report: Report, trial: EngineTrial) -> None:
    """Say what the linter found where an engine was built by NVIDIA's compiler (`lint.txt`)."""
    for engine in trial.engines.values():
        path = engine.with_name("lint.txt")
        if path.is_file():
            carried_out, *lines = path.read_text(encoding="utf-8").splitlines()
            findings = [line.partition(": ") for line in lines if not line.startswith(" ")]
            report.facts(
                "The network as NVIDIA's parser read it",
                [(rule, count) for rule, _, count in findings],
                f"{carried_out}. What each rule means and which layers it names: lint.txt, beside "
                "the engine.",
            )


def _add_images(
    report: Report, images: list[tuple[bytes, bytes, str]], show: Path | str | None
) -> None:
    heading = "Where float and INT8 differ most"
    whose = "frames of the test camera" if show is None else "the images that were given"
    if images:
        report.pairs(heading, images, f"The worst of {CANDIDATES} {whose}; score 0.25.")
    else:
        hint = " Give images of your own with --show-images." if show is None else ""
        report.facts(heading, [], f"Neither recognizes anything on {whose}.{hint}")


def _add_groups(report: Report, plan: PrecisionPlan, search: HybridPlan | None) -> None:
    known = search.groups if search is not None else {}
    extra = ["float, ms", "INT8, ms", "shift alone", "shift saved"] if known else []
    report.table(
        "Layer groups",
        ["group", "layers", "MACs", "precision", *extra, "why"],
        [
            [
                group.name,
                str(len(group.layers)),
                f"{group.macs / 1e6:.1f} M",
                group.precision,
                *(_facts(known[group.name]) if known else ()),
                group.why,
            ]
            for group in plan.groups
        ],
        "plan.yaml holds the same, to be edited and built again. Shift alone: only this group in "
        "INT8; saved: what the shift falls by if this group alone stays float."
        if known
        else "plan.yaml holds the same, to be edited and built again.",
    )


def _facts(facts: GroupFacts) -> tuple[str, ...]:
    return (
        f"{facts.float_ms:.3f}", f"{facts.int8_ms:.3f}", f"{facts.alone:.5f}", f"{facts.saved:.5f}"
    )  # fmt: skip


def _cut(calibration: Calibration, table: QuantizationTable, name: str) -> float:
    """Return the largest magnitude in units of the range."""
    return calibration.histograms[name].largest / table.activations[name].limit


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
