"""Which detections hit an object, once and for all IoU thresholds: what average precision needs.

The rules are COCO's. Detections of a class take their turn by falling score; each takes the
free object of its class that it overlaps most, at least by the threshold. Failing that, a crowd
region (overlap relative to the detection; never used up) makes it count for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_sdk.datasets.sample import Labels, Sample
from edge_sdk.detections import Detections
from edge_sdk.evaluation.accuracy import MAX_DETECTIONS, check_predictions

THRESHOLDS = np.linspace(0.5, 0.95, 10)


@dataclass(frozen=True)
class ClassMatches:
    """The detections of one class in all images, by falling score.

    Attributes
    ----------
    image : int32 [D], the image of each.
    hit : bool [10, D], whether it found an object, at each of `THRESHOLDS`.
    counted : bool [10, D], false where it counts for nothing (a crowd region).
    objects : int32 [images], how many there are to be found in each.
    """

    image: npt.NDArray[np.int32]
    hit: npt.NDArray[np.bool_]
    counted: npt.NDArray[np.bool_]
    objects: npt.NDArray[np.int32]


def match(
    predictions: Sequence[Detections], samples: Sequence[Sample], names: Sequence[str]
) -> tuple[ClassMatches, ...]:
    """Match detections with labels; one `ClassMatches` a class.

    Parameters and errors are those of `mean_average_precision`.
    """
    check_predictions(predictions, samples, names)
    images = []
    objects = np.zeros((len(names), len(samples)), np.int32)
    for index, (found, sample) in enumerate(zip(predictions, samples, strict=True)):
        labels = sample.labels
        ignored = labels.crowd | labels.difficult
        np.add.at(objects[:, index], labels.class_ids[~ignored], 1)
        kept = _best(found)
        hit, counted = _match_image(found, kept, labels, ignored)
        where = np.full(len(kept), index, np.int32)
        images.append((found.class_ids[kept], found.scores[kept], where, hit, counted))
    classes, scores, image, hits, counts = zip(*images, strict=True)
    class_ids, order = np.concatenate(classes), np.concatenate(scores)
    image_ids = np.concatenate(image)
    hit, counted = np.concatenate(hits, axis=1), np.concatenate(counts, axis=1)
    result = []
    for class_id in range(len(names)):
        own = np.flatnonzero(class_ids == class_id)
        own = own[np.argsort(-order[own], kind="stable")]
        matches = ClassMatches(image_ids[own], hit[:, own], counted[:, own], objects[class_id])
        result.append(matches)
    return tuple(result)


def _best(found: Detections) -> npt.NDArray[np.intp]:
    """Return the indices of the best detections of each class, by falling score."""
    order = np.argsort(-found.scores, kind="stable")
    classes = found.class_ids[order]
    if not len(order) or np.bincount(classes).max() <= MAX_DETECTIONS:
        return order
    kept = [order[classes == one][:MAX_DETECTIONS] for one in np.unique(classes)]
    chosen = np.concatenate(kept)
    return chosen[np.argsort(-found.scores[chosen], kind="stable")]


def _match_image(
    found: Detections,
    kept: npt.NDArray[np.intp],
    labels: Labels,
    ignored: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return hit and counted, bool [10, len(kept)]."""
    hit = np.zeros((len(THRESHOLDS), len(kept)), bool)
    counted = np.ones_like(hit)
    if not len(kept) or not len(ignored):
        return hit, counted
    overlap = _overlap(found.boxes[kept], labels.boxes, ignored)
    overlap[found.class_ids[kept][:, None] != labels.class_ids[None, :]] = -1.0
    free = np.broadcast_to(~ignored, (len(THRESHOLDS), len(ignored))).copy()
    for index in np.flatnonzero(overlap.max(axis=1) >= THRESHOLDS[0]):
        enough = overlap[index] >= THRESHOLDS[:, None]
        candidates = np.where(enough & free, overlap[index], -1.0)
        # Of equal overlaps the last object is taken, as COCO's evaluator does.
        choice = candidates.shape[1] - 1 - candidates[:, ::-1].argmax(axis=1)
        hit[:, index] = candidates[np.arange(len(choice)), choice] >= 0
        counted[:, index] = hit[:, index] | ~(enough & ignored).any(axis=1)
        free[hit[:, index], choice[hit[:, index]]] = False
    return hit, counted


def _overlap(
    boxes: npt.NDArray[np.float32],
    truth: npt.NDArray[np.float32],
    ignored: npt.NDArray[np.bool_],
) -> npt.NDArray[np.float64]:
    """Return intersection over union [D, G]; over the detection's area for ignored objects."""
    a, b = boxes.astype(np.float64)[:, None], truth.astype(np.float64)[None]
    size = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = np.maximum(size, 0.0).prod(axis=2)
    area_a, area_b = ((box[..., 2:] - box[..., :2]).prod(axis=2) for box in (a, b))
    union = np.where(ignored, area_a, area_a + area_b - shared)
    result: npt.NDArray[np.float64] = np.zeros_like(shared)
    np.divide(shared, union, out=result, where=union > 0)
    return result
