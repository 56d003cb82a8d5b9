"""From a histogram to one step of the 8-bit grid.

Every method looks at magnitudes, since the grid is symmetric around 0 or its non-negative half,
and leaves exact zeros out, since every grid holds them. A grid has n steps between zero and the
end of its range: 127, or 255 where a target spends all its integers on one side of zero. The
finer it is the less there is to gain by clipping, so n decides on the range; what is returned is
always a 127th of that range, a step of the table's own grid.

max         the largest magnitude is the last step: nothing is clipped.
percentile  99.99 % of the magnitudes are below the last step.
entropy     the clipped distribution P loses least information when its bins are merged into
            the n + 1 levels of the grid and spread out again as Q: least KL(P || Q).
mse         the least squared error of rounding and clipping on the actual grid. Within a bin
            the density is taken as even, so the error is an integral: with
            k = min(round(x / s), n) and r = x - k s,
            F(x) = integral of e(u)^2 from 0 to x = k s^3 / 12 + r^3 / 3.

Where channels have ranges of their own, each ends at its largest magnitude, or with that of the
tensor if that is less: no channel is rounded more coarsely, or clipped further in, than on the
tensor's grid.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt

from edge_sdk.calibration.observers import BINS, Histogram
from edge_sdk.errors import EdgeError
from edge_sdk.quantization_table import STEPS

Method = Literal["mse", "max", "percentile", "entropy"]

PERCENTILE = 0.9999
LEAST_CHANNEL = 2.0**-10
"""Least range of a channel, in parts of the widest one's: what was dead may live tomorrow."""
_ENTROPY_STRIDE = 8
"""Bins between the ranges that the entropy method tries."""
_ABSENT = 1e-9
"""What Q is taken to hold where it is empty and P is not, so that the divergence is finite."""

_Counts = npt.NDArray[np.floating]
_Rule = Callable[[_Counts, Histogram, int], float]


def grid_step(histogram: Histogram, method: str, steps: int = STEPS) -> float:
    """Return the real value of one step of the table's grid, a 127th of the range.

    Parameters
    ----------
    histogram : of the values to be quantized; where all of them are 0 the step is 1.0.
    method : "mse", "max", "percentile" or "entropy".
    steps : n, of the target's grid between zero and the end of the range.

    Raises
    ------
    EdgeError
        If there is no such method.
    """
    if method not in _RULES:
        raise EdgeError(f"There is no range method {method!r}: use one of {', '.join(_RULES)}.")
    if histogram.is_dead:
        return 1.0
    return _RULES[method](_nonzero(histogram), histogram, steps) / STEPS


def channel_steps(histogram: Histogram) -> npt.NDArray[np.float32]:
    """Return float32 [channels]: the step of each channel's grid that ends at its largest value."""
    largest = float(histogram.peaks.max(initial=0.0)) or float(STEPS)
    steps: npt.NDArray[np.float32] = (
        np.maximum(histogram.peaks, LEAST_CHANNEL * largest) / STEPS
    ).astype(np.float32)
    return steps


def squared_error(histogram: Histogram, step: float, steps: int = STEPS) -> float:
    """Return the expected sum of squared errors of all values on a grid.

    Parameters
    ----------
    step : of the table's grid over the same range.
    steps : n, as for `grid_step`.
    """
    limits = np.array([step * STEPS])
    return float(_squared_errors(_nonzero(histogram), histogram, limits, steps)[0])


def energy(histogram: Histogram) -> float:
    """Return the expected sum of the squares of all values."""
    edges = _edges(histogram)
    return float(_nonzero(histogram) @ (np.diff(edges**3) / (3 * np.diff(edges))))


def _max(counts: _Counts, histogram: Histogram, steps: int) -> float:
    return histogram.largest


def _percentile(counts: _Counts, histogram: Histogram, steps: int) -> float:
    edges = _edges(histogram)
    below = np.concatenate([[0.0], np.cumsum(counts)])
    return float(np.interp(PERCENTILE * below[-1], below, edges))


def _entropy(counts: _Counts, histogram: Histogram, steps: int) -> float:
    edges = _edges(histogram)
    tries = np.arange(counts.size, steps, -_ENTROPY_STRIDE)
    divergences = [_divergence(counts, int(bins), steps + 1) for bins in tries]
    return float(edges[tries[int(np.argmin(divergences))]])


def _divergence(counts: _Counts, bins: int, levels: int) -> float:
    """Return KL(P || Q) of clipping behind `bins` bins; P has what is clipped in its last one."""
    kept = counts[:bins]
    clipped = kept.copy()
    clipped[-1] += counts[bins:].sum()
    starts = np.arange(levels) * bins // levels
    lengths = np.diff(np.append(starts, bins))
    occupied = np.add.reduceat((kept > 0).astype(np.float64), starts)
    level = np.add.reduceat(kept, starts) / np.maximum(occupied, 1)
    spread = np.where(kept > 0, np.repeat(level, lengths), 0.0)
    here = clipped > 0
    p = clipped[here] / clipped.sum()
    q = spread[here] / max(spread.sum(), 1.0)
    return float(p @ np.log(p / np.maximum(q, _ABSENT)))


def _mse(counts: _Counts, histogram: Histogram, steps: int) -> float:
    coarse = histogram.largest * 2.0 ** (-np.arange(72) / 8)
    best = _least(counts, histogram, coarse, steps)
    fine = np.linspace(coarse[best] * 2**-0.125, min(coarse[best] * 2**0.125, coarse[0]), 65)
    return float(fine[_least(counts, histogram, fine, steps)])


def _least(counts: _Counts, histogram: Histogram, limits: _Counts, steps: int) -> int:
    return int(np.argmin(_squared_errors(counts, histogram, limits, steps)))


def _squared_errors(counts: _Counts, histogram: Histogram, limits: _Counts, steps: int) -> _Counts:
    """Return for each range the sum of squared errors (the module's F, bin by bin)."""
    edges = _edges(histogram)
    step = limits[:, None] / steps
    level = np.minimum(np.rint(edges / step), steps)
    integral = level * step**3 / 12 + (edges - level * step) ** 3 / 3
    return np.diff(integral, axis=1) @ (counts / np.diff(edges))


def _nonzero(histogram: Histogram) -> _Counts:
    """Return the counts of magnitudes up to the last occupied bin, without the exact zeros."""
    counts = histogram.magnitudes().astype(np.float64)
    counts[0] -= histogram.zeros
    return counts[: _bins(histogram)]


def _edges(histogram: Histogram) -> _Counts:
    """Return the borders of those bins; the last one ends at the largest magnitude."""
    edges: _Counts = np.arange(_bins(histogram) + 1) * histogram.width
    edges[-1] = max(histogram.largest, edges[-2] + histogram.width / 1024)  # never empty
    return edges


def _bins(histogram: Histogram) -> int:
    return min(int(histogram.largest / histogram.width) + 1, BINS)


_RULES: dict[str, _Rule] = {
    "mse": _mse,
    "max": _max,
    "percentile": _percentile,
    "entropy": _entropy,
}
