"""What a search has found, as sections of a report."""

from __future__ import annotations

from edge_sdk.calibration.charts import Kind, Point, scatter
from edge_sdk.calibration.report import Report
from edge_sdk.hybrid_plan import ALL_INT8, BY_HAND, FLOAT, HybridPlan, Trial

_BASELINES = (FLOAT, ALL_INT8, BY_HAND)
_SHOWN = 15
"""Groups in the chart of sensitivities."""


def search_report(found: HybridPlan) -> str:
    """Return the page of a search by itself, as HTML."""
    report = Report(f"A plan for {found.plan.target}", f"Asked: {found.budget}. {found.remark}")
    add_search(report, found)
    return report.html()


def add_search(report: Report, found: HybridPlan) -> None:
    """Add the Pareto front, all plans that were measured, and the sensitivity of the groups."""
    conditions = found.conditions
    measured = (
        f"Shift: mean over {conditions['images']} calibration images, by the engine that will run. "
        f"Latency: engine alone, in turn with float; {conditions.get('threads')} threads of "
        f"{conditions.get('cpu')}, {conditions.get('clock', 'wall')} clock, "
        f"{conditions.get('date')}."
    )
    if conditions["labels"]:
        measured += (
            f" Points of mAP50-95: {conditions['labels']}; the upper 95 % bound (paired bootstrap "
            "over the images) is what a limit on them is held to."
        )
    report.chart(
        "The front: latency against loss",
        scatter(
            [Point(one.ms, one.loss, one.name, _kind(one, found)) for one in found.trials],
            [(ms, loss) for loss, ms, _ in found.front],
            "milliseconds",
            "shift against float",
        ),
        "Marks are plans that were built and measured: green the chosen one, red what it is "
        "compared with, grey other hybrids. The broken line is the front as predicted from layer "
        "times and sensitivities, corrected by the marks.",
    )
    labelled = any(one.drop is not None for one in found.trials)
    first = found.trials[0]
    report.table(
        "Plans that were measured",
        ["plan", "INT8 groups", "ms", "speed", "shift", "scores, nats", "boxes, strides",
         *(["points lost", "at most"] if labelled else [])],
        [
            [
                f"{one.name}{' (chosen)' if one == found.chosen else ''}", str(len(one.int8)),
                f"{one.ms:.2f}", f"{first.ms / one.ms:.2f}x", f"{one.loss:.3g}",
                f"{one.scores:.3g}", f"{one.boxes:.3g}",
                *([f"{one.drop or 0.0:.2f}", f"{one.bound or 0.0:.2f}"] if labelled else []),
            ]
            for one in sorted(found.trials, key=lambda one: -one.ms)
        ],
        measured,
    )  # fmt: skip
    worst = sorted(found.groups.items(), key=lambda item: -item[1].alone)[:_SHOWN]
    report.bars(
        "The most sensitive groups",
        [(name, facts.alone) for name, facts in worst],
        "",
        f"Shift against float if only that group runs in INT8, on {conditions['sensitivity']} "
        "images; in the simulation that prepares the search. All groups are in the table of layer "
        "groups.",
    )


def _kind(one: Trial, found: HybridPlan) -> Kind:
    if one == found.chosen:
        return "chosen"
    return "baseline" if one.name in _BASELINES else "tried"
