"""The picture of `hybrid.py`: speed against loss, with the loss's bounds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hybrid_workshop import ALL_INT8, FLOAT, HAND_MADE, HYBRID

OURS, OTHERS = "#1f6feb", "#6e7781"
MARKERS = {FLOAT: "s", ALL_INT8: "D", HYBRID: "o", HAND_MADE: "v"}
OTHER_MARKERS = ("^", "P", "X", "*")


def front(rows: Sequence[dict[str, Any]]) -> set[str]:
    """Return the names on the front: nothing else is at least as fast and loses no more."""
    return {
        one["name"]
        for one in rows
        if not any(
            other["ratio"] >= one["ratio"]
            and other["loss"] <= one["loss"]
            and (other["ratio"], other["loss"]) != (one["ratio"], one["loss"])
            for other in rows
        )
    }


def draw(rows: Sequence[dict[str, Any]], title: str, path: Path) -> None:
    """Draw all rows; what loses far more than all-INT8 of ours is set at the border."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 5.5), layout="constrained")
    best = min(row["loss"] for row in rows if row["what"] == ALL_INT8)
    ceiling = max(1.5 * best, 1.0)
    others = [w for w in dict.fromkeys(row["what"] for row in rows) if w not in MARKERS]
    markers = {**MARKERS, **dict(zip(others, OTHER_MARKERS, strict=False))}
    for what in dict.fromkeys(row["what"] for row in rows):
        own = [row for row in rows if row["what"] == what]
        loss = [min(row["loss"], ceiling) for row in own]
        below = [max(y - row["lower"], 0) for row, y in zip(own, loss, strict=True)]
        above = [max(min(row["upper"], ceiling) - y, 0) for row, y in zip(own, loss, strict=True)]
        axes.errorbar(
            [row["ratio"] for row in own], loss, yerr=[below, above], fmt=markers[what],
            label=what, color=OURS if what in MARKERS else OTHERS, markersize=7, capsize=3,
            elinewidth=1, alpha=0.85,
        )  # fmt: skip
    names = front(rows)
    line = sorted((row["ratio"], row["loss"]) for row in rows if row["name"] in names)
    axes.plot(*zip(*line, strict=True), color=OURS, linewidth=1, alpha=0.5, zorder=0)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_ylim(None, 1.08 * ceiling)
    axes.invert_yaxis()
    axes.set_xlabel("times as fast as float")
    axes.set_ylabel(f"points of mAP50-95 lost (95 % bounds; {ceiling:.2g} and more at the border)")
    axes.set_title(title)
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)
