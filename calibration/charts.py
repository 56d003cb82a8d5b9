"""Small charts as inline SVG: they follow the page's colours, light or dark, and scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

import numpy as np

from edge_sdk.calibration.observers import Histogram

_WIDTH, _HEIGHT = 560, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 74, 16, 14, 46


Kind = Literal["chosen", "baseline", "tried"]


@dataclass(frozen=True)
class Point:
    """A mark of a scatter chart."""

    x: float
    y: float
    label: str
    kind: Kind


def scatter(
    points: Sequence[Point], line: Sequence[tuple[float, float]], x_title: str, y_title: str
) -> str:
    """Return a chart of points over a line, both axes from zero or the least value.

    Baselines and the chosen point are labelled; the others tell their label when pointed at.
    """
    xs = [*(point.x for point in points), *(x for x, _ in line)]
    ys = [*(point.y for point in points), *(y for _, y in line)]
    x_ticks, y_ticks = _ticks(0.0, max(xs, default=1.0)), _ticks(0.0, max(ys, default=1.0))

    def place(x: float, y: float) -> tuple[float, float]:
        across = (_WIDTH - _LEFT - _RIGHT) * x / x_ticks[-1]
        up = (_HEIGHT - _TOP - _BOTTOM) * y / y_ticks[-1]
        return _LEFT + across, _HEIGHT - _BOTTOM - up

    parts = []
    for tick in x_ticks:
        x, base = place(tick, 0.0)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{base:.1f}"/>')
        parts.append(f'<text x="{x:.1f}" y="{base + 16:.1f}" text-anchor="middle">{tick:g}</text>')
    for tick in y_ticks:
        _, y = place(0.0, tick)
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>'
        )
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*pair) for pair in sorted(line)))
    parts.append(f'<polyline class="front" points="{path}"/>')
    labels = 0
    order = {"tried": 0, "baseline": 1, "chosen": 2}
    for point in sorted(points, key=lambda point: order[point.kind]):
        x, y = place(point.x, point.y)
        size = {"tried": 3.5, "baseline": 4.5, "chosen": 7.0}[point.kind]
        title = f"<title>{escape(point.label)}</title>"
        parts.append(
            f'<circle class="{point.kind}" cx="{x:.1f}" cy="{y:.1f}" r="{size}">{title}</circle>'
        )
        if point.kind != "tried":
            left = x > 0.6 * _WIDTH
            labels += 1
            lift = -7 if labels % 2 else 15  # above and below in turn: neighbours are read apart
            parts.append(
                f'<text class="label" x="{x + (-9 if left else 9):.1f}" y="{y + lift:.1f}" '
                f'text-anchor="{"end" if left else "start"}">{escape(point.label)}</text>'
            )
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    parts.append(
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 6}" text-anchor="middle">'
        f"{escape(x_title)}</text>"
        f'<text transform="translate(13 {middle}) rotate(-90)" text-anchor="middle">'
        f"{escape(y_title)}</text>"
    )
    return _svg(parts, _WIDTH, _HEIGHT, f"{y_title} over {x_title}")


def range_chart(histogram: Histogram, clip: float, title: str) -> str:
    """Return how often each value occurred (log scale), and the lines where its range ends."""
    width, height, base = 320, 150, 122
    bins = len(histogram.counts)
    values = (np.arange(bins + 1) - bins // 2 * histogram.signed) * histogram.width
    low, high = min(0.0, histogram.minimum), max(histogram.maximum, clip)
    low = min(low, -clip) if histogram.signed else low
    columns = np.linspace(low, high, 121)
    places = np.clip(np.searchsorted(values, columns), 0, bins)
    totals = np.concatenate([[0], np.cumsum(histogram.counts)])
    counts = np.diff(totals[places])
    logs = np.log10(np.maximum(counts, 0) + 1.0)
    tallest = max(float(logs.max()), 1e-9)

    def across(value: float) -> float:
        return 4 + (width - 8) * (value - low) / max(high - low, 1e-30)

    outline = [f"{across(low):.1f},{base}"]
    for index, log in enumerate(logs):
        y = base - (base - 22) * float(log) / tallest
        outline += [f"{across(columns[i]):.1f},{y:.1f}" for i in (index, index + 1)]
    outline.append(f"{across(high):.1f},{base}")
    parts = [f'<polygon class="counts" points="{" ".join(outline)}"/>']
    for line in (-clip, clip) if histogram.signed else (clip,):
        x = across(line)
        parts.append(f'<line class="clip" x1="{x:.1f}" x2="{x:.1f}" y1="20" y2="{base}"/>')
    parts.append(f'<text class="label" x="4" y="13">{escape(_shortened(title))}</text>')
    for value, anchor in ((low, "start"), (high, "end")):
        at = f'x="{across(value):.1f}" y="{base + 17}" text-anchor="{anchor}"'
        parts.append(f"<text {at}>{value:.3g}</text>")
    return _svg(parts, width, height, f"Histogram of {title}")


def _svg(parts: Sequence[str], width: int, height: int, title: str) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers from `low` to just above `high`."""
    span = max(high - low, 1e-12)
    step = 10.0 ** math.floor(math.log10(span / 4))
    step *= next(factor for factor in (1, 2, 2.5, 5, 10) if span / (step * factor) <= 5)
    return [low + step * number for number in range(math.ceil(span / step - 1e-9) + 1)]


def _shortened(title: str) -> str:
    return title if len(title) <= 44 else f"{title[:12]}…{title[-30:]}"
