"""Is one detector more accurate than another? Paired bootstrap over images.

Both detectors' mAP50-95 is computed on the same images drawn with replacement, again and again;
the spread of the difference bounds it. An image that is drawn k times weighs its detections and
objects by k, which gives the average precision of the set with its duplicates without matching
or sorting anything anew. With weights w, over the hits j of a class by falling score:

    recall_j    = sum of w over hits up to j / sum of w over objects
    precision_j = sum of w over hits up to j / sum of w over counted detections up to j
    AP          = mean over the recall points r = 0, 0.01, ..., 1 of
                  max(precision_j, precision_j+1, ...) for the first j with recall_j >= r
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import EdgeError
from edge_sdk.evaluation.matching import THRESHOLDS, ClassMatches
from edge_sdk.progress import Progress, silent

RECALL_POINTS = np.linspace(0.0, 1.0, 101)
_STEP = 50
"""Resamples between two calls of `progress`."""
_CACHED = 1 << 19
"""Numbers that are worked on at once: what fits a processor's cache."""


@dataclass(frozen=True)
class Difference:
    """A difference of two mAP50-95 (0..1), and its two-sided 95 % bounds."""

    value: float
    lower: float
    upper: float
    resamples: int
    images: int

    def to_dict(self) -> dict[str, float]:
        """Return plain values, ready for JSON."""
        return asdict(self)


def paired_difference(
    first: Sequence[ClassMatches],
    second: Sequence[ClassMatches],
    *,
    resamples: int = 1000,
    seed: int = 0,
    progress: Progress = silent,
) -> Difference:
    """Return mAP50-95 of `first` less that of `second`, with bootstrap bounds.

    Parameters
    ----------
    first, second : what `match` returned for two detectors on the same samples.
    resamples : how often the images are drawn with replacement.
    seed : of the draws; the same seed draws the same images.

    Raises
    ------
    EdgeError
        If the two are not of the same samples, or the samples hold no object.
    """
    (found,) = paired_differences(
        first, [second], resamples=resamples, seed=seed, progress=progress
    )
    return found


def paired_differences(
    first: Sequence[ClassMatches],
    others: Sequence[Sequence[ClassMatches]],
    *,
    resamples: int = 1000,
    seed: int = 0,
    block: int = 1,
    progress: Progress = silent,
) -> list[Difference]:
    """Return `paired_difference` of one detector and each of several, in their order.

    Parameters
    ----------
    block : so many consecutive samples show the same, and are drawn together.
    """
    for second in others:
        if [m.objects.tolist() for m in first] != [m.objects.tolist() for m in second]:
            raise EdgeError("The two sets of predictions are not of the same images and labels.")
    if not any(matches.objects.any() for matches in first):
        raise EdgeError("The images hold no object, so that no accuracy can be compared.")
    images = len(first[0].objects) // block
    draws = np.random.default_rng(seed).multinomial(
        images, np.full(images, 1 / images), size=resamples
    )
    weights = np.concatenate([np.ones((1, images), np.int32), draws.astype(np.int32)])
    weights = weights.repeat(block, axis=1)
    sides = [first, *others]
    means = np.empty((len(sides), len(weights)))
    for number, side in enumerate(sides):
        for start in range(0, len(weights), _STEP):
            means[number, start : start + _STEP] = mean_ap(side, weights[start : start + _STEP])
            progress(number * resamples + start, len(sides) * resamples, "bootstrap")
    progress(len(sides) * resamples, len(sides) * resamples, "bootstrap")
    lost = means[0] - means[1:]
    bounds = np.nanpercentile(lost[:, 1:], (2.5, 97.5), axis=1).T.tolist()
    return [
        Difference(value, lower, upper, resamples, images)
        for value, (lower, upper) in zip(lost[:, 0].tolist(), bounds, strict=True)
    ]


def mean_ap(
    matches: Sequence[ClassMatches], weights: npt.NDArray[np.int32]
) -> npt.NDArray[np.float64]:
    """Return the mAP50-95 [B] of B weightings int32 [B, images]; NaN where no object is left."""
    per_class = np.stack([_average_precision(one, weights) for one in matches])
    known = ~np.isnan(per_class)
    sums = np.where(known, per_class, 0.0).sum(axis=0)
    count = known.sum(axis=0)
    result = np.full(len(weights), np.nan)
    np.divide(sums, count, out=result, where=count > 0)
    return result


def _average_precision(
    matches: ClassMatches, weights: npt.NDArray[np.int32]
) -> npt.NDArray[np.float64]:
    """Return the AP of one class, averaged over the thresholds [B]."""
    rows = max(8, _CACHED // max(len(matches.image), 1))
    parts = [_few(matches, weights[at : at + rows]) for at in range(0, len(weights), rows)]
    return np.concatenate(parts)


def _few(matches: ClassMatches, weights: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
    objects = weights @ matches.objects
    drawn = weights.take(matches.image, axis=1)
    everything = drawn.cumsum(axis=1, dtype=np.int32) if matches.counted.all() else None
    total = np.zeros(len(weights))
    for hit, counted in zip(matches.hit, matches.counted, strict=True):
        where = np.flatnonzero(hit)
        if not len(where):
            continue
        seen = (drawn * counted).cumsum(axis=1) if everything is None else everything
        total += _area(drawn[:, where].cumsum(axis=1), seen[:, where], objects)
    return np.where(objects > 0, total / len(THRESHOLDS), np.nan)


def _area(
    hits: npt.NDArray[np.int_], seen: npt.NDArray[np.int_], objects: npt.NDArray[np.int_]
) -> npt.NDArray[np.float64]:
    """Return the area under interpolated precision [B] from cumulated counts [B, hits]."""
    precision = hits / np.maximum(seen, 1)
    best = np.zeros((len(hits), hits.shape[1] + 1))  # nothing is left behind the last hit
    np.maximum.accumulate(precision[:, ::-1], axis=1, out=best[:, -2::-1])
    recall = hits / np.maximum(objects, 1)[:, None]
    first = np.stack([row.searchsorted(RECALL_POINTS) for row in recall])
    area: npt.NDArray[np.float64] = np.take_along_axis(best, first, axis=1).mean(axis=1)
    return area
