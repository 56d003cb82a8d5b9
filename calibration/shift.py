"""How far a detector's outputs move.

On each image the anchors that score highest, before or after, are compared: the 100 whose best
class has the largest probability on either side, so that an object that vanishes counts, and one
that appears out of nothing, too. Where the image's objects are labelled, it is the three best of
those whose centre lies in an object, for each object, and as many of the best that lie in none.
With p the reference's class probabilities, q the tested ones,
and l, t, r, b the box's sides as distances in strides of the anchor,

    scores = mean over anchors of  sum over classes  KL(Bernoulli(p) || Bernoulli(q)),   in nats,
    boxes  = mean of |dl|, |dt|, |dr|, |db|, each anchor weighted by its best p,   in strides,
    sqnr   = -10 log10 (noise energy / signal energy), averaged over the prediction tensors, in dB.

The loss that a search minimizes is scores + boxes^2. Both are quadratic in a small noise, so the
losses of independent roundings add up; and so does the harm, since noise that is small beside a
prediction's own error only adds to it in squares. A nat and a squared stride weigh the same: where
a detection's probability falls from 0.6 to 0.1, scores has 0.75 nats, and a box of four strides
that is moved by one has lost 40 % of its overlap. On the networks that this was set on a loss of
0.001 went with about 0.1 points of mAP50-95 (0.06 to 0.15).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_sdk.head_spec import HeadSpec

ANCHORS = 100
"""Anchors of one image that are compared."""
OBJECT_ANCHORS = 3
"""Anchors of one labelled object that are compared."""
LARGEST_SQNR = 150.0
"""In dB: what equal outputs count as; float32 ends about here."""
_LEAST = 1e-7
"""Probabilities are taken to be at least so far from 0 and 1."""

Array = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Shift:
    """How far outputs are from float's; see the module.

    Attributes
    ----------
    scores : nats, >= 0.
    boxes : strides, >= 0.
    sqnr : dB at the prediction tensors.
    """

    scores: float
    boxes: float
    sqnr: float

    @property
    def loss(self) -> float:
        """What a search minimizes, 0 where nothing moves."""
        return self.scores + self.boxes**2


def image_shift(
    spec: HeadSpec,
    reference: Sequence[Array],
    tested: Sequence[Array],
    predictions: Sequence[tuple[Array, Array]] | None = None,
    objects: Array | None = None,
) -> Shift:
    """Compare the outputs for one image.

    Parameters
    ----------
    spec : how the outputs are laid out.
    reference, tested : float32 outputs without the batch axis, in the order of
        `spec.output_names`.
    predictions : pairs (reference, tested) of the tensors for the SQNR; the outputs if None.
    objects : float32 [N, 4], x1, y1, x2, y2 of the labelled objects in pixels of the network's
        input; None, or N = 0, looks at the best anchors wherever they are.
    """
    before, after = (_LAYOUTS[spec.layout](spec, outputs) for outputs in (reference, tested))
    best = np.maximum(before.best, after.best)
    if objects is None or not len(objects):
        top = _best_of(best, ANCHORS)
    else:
        top = _deciding(best, _centres(spec), objects)
    p, q = (side.classes(top).clip(_LEAST, 1 - _LEAST) for side in (before, after))
    divergence = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    moved = np.abs(before.boxes(top) - after.boxes(top)).mean(axis=1)
    weight = before.best[top].astype(np.float64).clip(_LEAST)
    pairs = predictions or list(zip(reference, tested, strict=True))
    return Shift(
        float(divergence.sum(axis=1).mean()),
        float(moved @ weight / weight.sum()),
        _decibels(float(np.mean([_noise(*pair) for pair in pairs]))),
    )


def _best_of(best: Array, count: int) -> npt.NDArray[np.intp]:
    """Return the anchors that score highest."""
    if best.size <= count:
        return np.arange(best.size)
    return np.argpartition(-best, count - 1)[:count]


def _deciding(best: Array, centres: Array, objects: Array) -> npt.NDArray[np.intp]:
    """Return the anchors that decide on labelled objects, and as many that lie in none."""
    low, high = objects[:, None, :2], objects[:, None, 2:]
    inside = np.all((low <= centres) & (centres <= high), axis=2)
    chosen = [here[_best_of(best[here], OBJECT_ANCHORS)] for here in map(np.flatnonzero, inside)]
    decisive = np.unique(np.concatenate(chosen))
    outside = np.flatnonzero(~inside.any(axis=0))
    others = outside[_best_of(best[outside], max(len(decisive), OBJECT_ANCHORS))]
    return np.concatenate([decisive, others])


def shift(
    spec: HeadSpec, reference: Sequence[Sequence[Array]], tested: Sequence[Sequence[Array]]
) -> Shift:
    """Compare the outputs for several images; see `image_shift`."""
    return mean_shift([image_shift(spec, *pair) for pair in zip(reference, tested, strict=True)])


def mean_shift(shifts: Sequence[Shift]) -> Shift:
    """Return the mean over images; of the SQNR, that of the noise ratios."""
    ratios = [10 ** (-shift.sqnr / 10) for shift in shifts]
    return Shift(
        float(np.mean([shift.scores for shift in shifts])),
        float(np.mean([shift.boxes for shift in shifts])),
        _decibels(float(np.mean(ratios))),
    )


@dataclass(frozen=True)
class _Anchors:
    """One side's predictions, decoded as far as they are asked for.

    Attributes
    ----------
    best : [N] probability of each anchor's best class.
    classes : anchors -> their class probabilities [K, C], float64.
    boxes : anchors -> the sides of their boxes in strides [K, 4], float64.
    """

    best: Array
    classes: Callable[[npt.NDArray[np.intp]], npt.NDArray[np.float64]]
    boxes: Callable[[npt.NDArray[np.intp]], npt.NDArray[np.float64]]


def _dfl(spec: HeadSpec, outputs: Sequence[Array]) -> _Anchors:
    levels = len(spec.strides)
    logits, distances = (
        np.concatenate([one.reshape(len(one), -1) for one in part], axis=1).T
        for part in (outputs[:levels], outputs[levels:])
    )

    def boxes(top: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
        bins = distances[top].reshape(len(top), 4, spec.reg_max + 1).astype(np.float64)
        weights = np.exp(bins - bins.max(axis=2, keepdims=True))
        expected: npt.NDArray[np.float64] = weights @ np.arange(spec.reg_max + 1)
        expected /= weights.sum(axis=2)
        return expected

    return _Anchors(
        _sigmoid(logits.max(axis=1)), lambda top: _sigmoid(logits[top].astype(np.float64)), boxes
    )


def _grid(spec: HeadSpec, outputs: Sequence[Array]) -> _Anchors:
    (rows,) = outputs
    return _Anchors(
        rows[:, 4] * rows[:, 5:].max(axis=1),
        lambda top: rows[top, 4:5].astype(np.float64) * rows[top, 5:],
        lambda top: _corners(rows[top, :2], np.exp(rows[top, 2:4].clip(-20, 10))),
    )


def _boxes(spec: HeadSpec, outputs: Sequence[Array]) -> _Anchors:
    rows = outputs[0].T
    strides = _strides(spec)
    return _Anchors(
        rows[:, 4:].max(axis=1),
        lambda top: rows[top, 4:].astype(np.float64),
        lambda top: _corners(rows[top, :2], rows[top, 2:4]) / strides[top, None],
    )


def _decoded(spec: HeadSpec, outputs: Sequence[Array]) -> _Anchors:
    corners, scores = outputs
    strides = _strides(spec)
    return _Anchors(
        scores.max(axis=1),
        lambda top: scores[top].astype(np.float64),
        lambda top: corners[top].astype(np.float64) / strides[top, None],
    )


_LAYOUTS: dict[str, Callable[[HeadSpec, Sequence[Array]], _Anchors]] = {
    "dfl": _dfl,
    "grid": _grid,
    "boxes": _boxes,
    "decoded": _decoded,
}


def _corners(centre: Array, size: Array) -> npt.NDArray[np.float64]:
    half = size.astype(np.float64) / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def _centres(spec: HeadSpec) -> npt.NDArray[np.float64]:
    """Return the centres of all anchors [N, 2], x and y in pixels of the input."""
    height, width = spec.input_size
    levels = []
    for stride in spec.strides:
        rows, columns = np.mgrid[: height // stride, : width // stride]
        levels.append((np.stack([columns, rows], axis=-1).reshape(-1, 2) + 0.5) * stride)
    return np.concatenate(levels)


def _strides(spec: HeadSpec) -> npt.NDArray[np.float64]:
    height, width = spec.input_size
    counts = [(height // stride) * (width // stride) for stride in spec.strides]
    return np.repeat(np.array(spec.strides, np.float64), counts)


def _sigmoid(x: Array) -> npt.NDArray[np.float64]:
    value: npt.NDArray[np.float64] = 0.5 * (1.0 + np.tanh(0.5 * x.astype(np.float64)))
    return value


def _noise(reference: Array, tested: Array) -> float:
    signal = float(np.square(reference, dtype=np.float64).sum())
    noise = float(np.square(reference - tested, dtype=np.float64).sum())
    return noise / max(signal, 1e-30)


def _decibels(ratio: float) -> float:
    return -10 * math.log10(max(ratio, 10 ** (-LARGEST_SQNR / 10)))
