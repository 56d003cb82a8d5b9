"""How far an engine's detections are from those of the float network on the same frames.

The float network's *objects* are its detections that score at least `score`. An object is found
again where the engine has a detection of its class, at a score of at least `score / SLACK`, whose
box overlaps it by an IoU of half; the engine's own detections above `score` have to be known to
the float network in the same way. The slack keeps an object whose score moves from just above the
threshold to just below it from counting as lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from edge_sdk.detections import Detections

SLACK = 4.0
"""Detections are compared down to the score of an object divided by this."""
_SAME = 0.5
_THRESHOLDS = np.linspace(0.5, 0.95, 10)
_RECALLS = np.linspace(0.0, 1.0, 101)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """What separates an engine from the float network.

    Attributes
    ----------
    objects : of the float network, on all frames.
    missed, added : objects that the engine lost, and detections that only the engine has.
    score_shift : the largest difference of the scores of an object, 0..1.
    box_shift : the largest distance between the sides of an object's two boxes, in pixels of the
        frame.
    lost : (missed + added) / objects, or the number added where there are no objects.
    log_odds : mean absolute difference of log(score / (1 - score)) over the objects found again:
        scores that are all compressed move it, one object's hardly do.
    map_drop : 1 - mAP50-95, with the float network's objects as the truth.
    """

    objects: int
    missed: int
    added: int
    score_shift: float
    box_shift: float
    lost: float
    log_odds: float
    map_drop: float

    def to_dict(self) -> dict[str, float]:
        """Return plain values, ready for JSON."""
        return asdict(self)


def agreement(
    expected: Sequence[Detections], found: Sequence[Detections], score: float
) -> Agreement:
    """Compare an engine's detections with the float network's, frame by frame.

    Parameters
    ----------
    expected, found : of the float network and of the engine, one for each frame, both with all
        detections down to `score / SLACK`.
    score : the least score of an object.
    """
    objects = missed = added = 0
    scores: list[tuple[float, float]] = []
    shifts: list[float] = []
    for truth, own in zip(expected, found, strict=True):
        sought = truth.above(score)
        partner = _partners(sought, own)
        hit = partner >= 0
        objects += len(sought)
        missed += int((~hit).sum())
        added += int((_partners(own.above(score), truth) < 0).sum())
        where = partner[hit]
        scores += zip(sought.scores[hit].tolist(), own.scores[where].tolist(), strict=True)
        shifts += np.abs(sought.boxes[hit] - own.boxes[where]).max(axis=1, initial=0.0).tolist()
    pairs = np.array(scores, np.float64).reshape(-1, 2)
    moved = np.abs(_log_odds(pairs[:, 0]) - _log_odds(pairs[:, 1]))
    return Agreement(
        objects=objects,
        missed=missed,
        added=added,
        score_shift=float(np.abs(pairs[:, 0] - pairs[:, 1]).max(initial=0.0)),
        box_shift=max(shifts, default=0.0),
        lost=(missed + added) / max(objects, 1),
        log_odds=float(moved.mean()) if len(moved) else 0.0,
        map_drop=1.0 - _mean_average_precision([one.above(score) for one in expected], found),
    )


def _partners(sought: Detections, offered: Detections) -> npt.NDArray[np.intp]:
    """Return, for each one sought, by falling score, its free partner; -1 where there is none."""
    overlap = _overlap(sought, offered)
    result = np.full(len(sought), -1, np.intp)
    for index in range(len(sought)):
        if overlap.shape[1] and overlap[index].max() >= _SAME:
            result[index] = overlap[index].argmax()
            overlap[:, result[index]] = 0.0
    return result


def _overlap(first: Detections, second: Detections) -> Floats:
    """Return the IoU of all pairs [N, M], 0 where the classes differ."""
    a, b = first.boxes.astype(np.float64)[:, None], second.boxes.astype(np.float64)[None]
    size = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = np.maximum(size, 0.0).prod(axis=2)
    areas = [(box[..., 2:] - box[..., :2]).prod(axis=2) for box in (a, b)]
    same = first.class_ids[:, None] == second.class_ids[None]
    overlap: Floats = np.where(same, shared / np.maximum(areas[0] + areas[1] - shared, 1e-9), 0.0)
    return overlap


def _log_odds(scores: Floats) -> Floats:
    inside = scores.clip(1e-6, 1 - 1e-6)
    odds: Floats = np.log(inside / (1 - inside))
    return odds


def _mean_average_precision(truth: Sequence[Detections], found: Sequence[Detections]) -> float:
    """Return mAP50-95 by COCO's rules: 101 recall points, mean over thresholds and classes.

    It is 1 where there is nothing to be found.
    """
    classes = np.unique(np.concatenate([one.class_ids for one in truth]))
    if not len(classes):
        return 1.0
    return float(np.mean([_average_precision(truth, found, one) for one in classes]))


def _average_precision(
    truth: Sequence[Detections], found: Sequence[Detections], class_id: int
) -> float:
    """Return the average precision of one class, averaged over the thresholds."""
    objects = sum(int((one.class_ids == class_id).sum()) for one in truth)
    scores = np.concatenate([one.scores[one.class_ids == class_id] for one in found])
    hits = [_hits(*pair, class_id) for pair in zip(truth, found, strict=True)]
    hit = np.concatenate(hits, axis=1)[:, np.argsort(-scores, kind="stable")]
    if not hit.shape[1]:
        return 0.0
    count = hit.cumsum(axis=1)
    precision = count / np.arange(1, hit.shape[1] + 1)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    best = np.pad(best, ((0, 0), (0, 1)))  # nothing is left behind the last detection
    points = [row.searchsorted(_RECALLS) for row in count / objects]
    return float(np.take_along_axis(best, np.stack(points), axis=1).mean())


def _hits(truth: Detections, found: Detections, class_id: int) -> npt.NDArray[np.bool_]:
    """Return which detections of the class take an object, bool [thresholds, detections]."""
    overlap = _overlap(found, truth)[found.class_ids == class_id]
    hit = np.zeros((len(_THRESHOLDS), len(overlap)), bool)
    free = np.ones((len(_THRESHOLDS), len(truth)), bool)
    for index, row in enumerate(overlap if len(truth) else ()):
        wanted = np.where(free & (row >= _THRESHOLDS[:, None]), row, 0.0)
        choice = wanted.argmax(axis=1)
        hit[:, index] = wanted.max(axis=1) > 0
        free[hit[:, index], choice[hit[:, index]]] = False
    return hit
