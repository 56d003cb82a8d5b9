"""Histograms that stream: fixed memory, one pass, the same result in any order.

A bin is a power of two wide. When a value arrives beyond the last bin, neighbours are added up
in pairs until it fits: floor(floor(x / w) / 2) = floor(x / 2w), so a widened histogram is
exactly the one that the wider bins would have counted from the beginning. It depends on the
values alone, not on their order, and counts of parts add up to the count of the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

BINS = 2048
"""Bins on one side of zero."""
_LEAST_EXPONENT = -100
"""Bins of 2^-100 to begin with: everything that is not zero widens them."""
_CHUNK = 1 << 15
"""Values binned at a time, so that the scratch arrays stay in the cache."""


@dataclass
class Histogram:
    """The distribution of one activation tensor.

    Attributes
    ----------
    signed : whether there are bins below zero.
    exponent : the width of a bin is 2**exponent.
    counts : int64 [2 * BINS] from -BINS widths to +BINS widths if signed, else [BINS] from 0.
    zeros : how many values were exactly 0 (they are in `counts` too).
    minimum, maximum : of all values; 0 before the first.
    peaks : float32 [channels], the largest magnitude of each channel (axis 1 of what is added),
        where they are kept; else empty.
    """

    signed: bool
    exponent: int = _LEAST_EXPONENT
    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    zeros: int = 0
    minimum: float = 0.0
    maximum: float = 0.0
    peaks: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))

    def __post_init__(self) -> None:
        if not self.counts.size:
            self.counts = np.zeros(BINS * (1 + self.signed), np.int64)

    @property
    def kind(self) -> tuple[bool, int]:
        """Whether it is signed, and how many channels have peaks."""
        return self.signed, self.peaks.size

    @property
    def width(self) -> float:
        """The width of a bin, in the tensor's units."""
        return 2.0**self.exponent

    @property
    def total(self) -> int:
        """The number of values counted."""
        return int(self.counts.sum())

    @property
    def largest(self) -> float:
        """The largest magnitude."""
        return max(self.maximum, -self.minimum)

    @property
    def is_dead(self) -> bool:
        """Whether all values are 0, or as good as 0 (below 2^-89)."""
        return self.exponent == _LEAST_EXPONENT

    def add(self, values: npt.NDArray[np.float32]) -> None:
        """Count the values of a float32 array of any shape, [B, channels, ...] with peaks.

        Raises
        ------
        ValueError
            If a value is not finite, or negative where the tensor was said not to be. Nothing
            is counted then.
        """
        if not values.size:
            return
        low, high = float(values.min()), float(values.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ValueError("NaN or infinite values")
        if low < 0 and not self.signed:
            raise ValueError(f"negative values (down to {low:g}) behind a non-negative function")
        first = not self.total
        self.minimum = low if first else min(self.minimum, low)
        self.maximum = high if first else max(self.maximum, high)
        self._widen(_exponent(max(high, -low)))
        self._count(values.reshape(-1))
        if self.peaks.size:
            others = (0, *range(2, values.ndim))
            largest = np.maximum(values.max(axis=others), -values.min(axis=others))
            self.peaks = np.maximum(self.peaks, largest)

    def check(self) -> None:
        """Raise ValueError if the fields cannot be those of a histogram."""
        sound = (
            self.counts.dtype == np.int64
            and self.counts.shape == (BINS * (1 + self.signed),)
            and not (self.counts < 0).any()
            and 0 <= self.zeros <= self.total
            and -np.inf < self.minimum <= self.maximum < np.inf
            and self.exponent == _exponent(self.largest)
            and (self.peaks >= 0).all()
            and self.peaks.max(initial=0) == (np.float32(self.largest) if self.peaks.size else 0)
        )
        if not sound:
            raise ValueError("a histogram that cannot be")

    def _count(self, values: npt.NDArray[np.float32]) -> None:
        size = min(values.size, _CHUNK)
        scaled, bins = np.empty(size, np.float32), np.empty(size, np.intp)
        inverse = np.float32(2.0**-self.exponent)  # a power of two: the product is exact
        for start in range(0, values.size, _CHUNK):
            part = values[start : start + _CHUNK]
            scaled, bins = scaled[: part.size], bins[: part.size]
            self.zeros += part.size - int(np.count_nonzero(part))
            np.multiply(part, inverse, out=scaled)
            if self.signed:
                np.floor(scaled, out=scaled)
                scaled += BINS
            np.copyto(bins, scaled, casting="unsafe")
            self.counts += np.bincount(bins, minlength=self.counts.size)

    def _widen(self, exponent: int) -> None:
        """Make bins at least 2**exponent wide."""
        if exponent <= self.exponent:
            return
        pairs = exponent - self.exponent
        if self.signed:
            below, above = self.counts[BINS - 1 :: -1], self.counts[BINS:]
            self.counts = np.concatenate([_merged(below, pairs)[::-1], _merged(above, pairs)])
        else:
            self.counts = _merged(self.counts, pairs)
        self.exponent = exponent

    def magnitudes(self) -> npt.NDArray[np.int64]:
        """Return int64 [BINS]: how many values have a magnitude of each bin above zero."""
        if not self.signed:
            return self.counts.copy()
        return self.counts[BINS:] + self.counts[BINS - 1 :: -1]


def merged(histograms: Sequence[Histogram]) -> Histogram:
    """Return the histogram of all the values of several tensors; signed if one of them is."""
    result = Histogram(signed=any(histogram.signed for histogram in histograms))
    filled = [histogram for histogram in histograms if histogram.total]
    if not filled:
        return result
    result.minimum = min(histogram.minimum for histogram in filled)
    result.maximum = max(histogram.maximum for histogram in filled)
    result.zeros = sum(histogram.zeros for histogram in filled)
    result._widen(max(histogram.exponent for histogram in filled))
    for histogram in filled:
        part = Histogram(histogram.signed, histogram.exponent, histogram.counts)
        part._widen(result.exponent)
        result.counts[-part.counts.size :] += part.counts
    return result


def _exponent(largest: float) -> int:
    """Return the least exponent at which `largest` lies below the last bin's end."""
    if largest == 0.0:
        return _LEAST_EXPONENT
    _, power = np.frexp(largest)  # largest < 2**power
    return max(int(power) - (BINS.bit_length() - 1), _LEAST_EXPONENT)


def _merged(side: npt.NDArray[np.int64], pairs: int) -> npt.NDArray[np.int64]:
    """Add up 2**pairs neighbours of the bins of one side, counted outward from zero."""
    result = np.zeros_like(side)
    kept = max(1, BINS >> pairs)
    result[:kept] = side.reshape(kept, -1).sum(axis=1)
    return result
