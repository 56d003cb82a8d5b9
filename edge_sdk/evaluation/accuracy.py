"""COCO mean average precision: 101 recall points, IoU 0.50 to 0.95, 100 detections a class.

The evaluator is faster-coco-eval. Crowd regions and objects that Pascal VOC calls difficult are
neither missed nor found: a detection on one counts for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sdk.datasets.sample import Labels, Sample
from edge_sdk.detections import Detections
from edge_sdk.errors import EdgeError, MissingExtra

MAX_DETECTIONS = 100
"""Detections that count of one image and class, the best first."""


@dataclass(frozen=True)
class ClassAccuracy:
    """The average precision of one class, 0..1; None where the split holds no such object."""

    map: float | None
    map50: float | None
    objects: int


@dataclass(frozen=True)
class Accuracy:
    """Mean average precision, 0..1; None where the split holds no such object.

    Attributes
    ----------
    map : over IoU 0.50 to 0.95 in steps of 0.05 (mAP50-95).
    map50, map75 : at IoU 0.50 and 0.75.
    small, medium, large : `map` of objects below 32 x 32 pixels, up to 96 x 96, and above.
    per_class : by class name.
    images, objects : how many were evaluated.
    remarks : sentences on labels that were mended and classes that did not match.
    """

    map: float | None
    map50: float | None
    map75: float | None
    small: float | None
    medium: float | None
    large: float | None
    per_class: dict[str, ClassAccuracy]
    images: int
    objects: int
    remarks: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)


def mean_average_precision(
    predictions: Sequence[Detections], samples: Sequence[Sample], names: Sequence[str]
) -> Accuracy:
    """Compare detections with labels.

    Parameters
    ----------
    predictions : one for each sample, with class ids that index `names`. Take them at a score
        of 0.01, or the tail of the precision-recall curve is cut off.
    samples : the labelled images.
    names : the class names of the data set.

    Raises
    ------
    EdgeError
        If the numbers of predictions and samples differ, or a class id is not one of `names`.
    MissingExtra
        If faster-coco-eval is not installed.
    """
    check_predictions(predictions, samples, names)
    labels = [sample.labels for sample in samples]
    precision = _precision(predictions, labels, names)
    counts = _object_counts(labels, len(names))
    per_class = {
        name: ClassAccuracy(
            _mean(precision[:, :, index, 0]), _mean(precision[0, :, index, 0]), int(counts[index])
        )
        for index, name in enumerate(names)
    }
    return Accuracy(
        map=_mean(precision[..., 0]),
        map50=_mean(precision[0, ..., 0]),
        map75=_mean(precision[5, ..., 0]),
        small=_mean(precision[..., 1]),
        medium=_mean(precision[..., 2]),
        large=_mean(precision[..., 3]),
        per_class=per_class,
        images=len(samples),
        objects=int(counts.sum()),
    )


def check_predictions(
    predictions: Sequence[Detections], samples: Sequence[Sample], names: Sequence[str]
) -> None:
    """Refuse predictions that cannot be those of the samples.

    Raises
    ------
    EdgeError
        If the numbers differ, or a class id is not one of `names`.
    """
    if len(predictions) != len(samples):
        raise EdgeError(f"{len(predictions)} predictions were given for {len(samples)} images.")
    largest = max((int(found.class_ids.max()) for found in predictions if len(found)), default=-1)
    if largest >= len(names):
        raise EdgeError(f"A detection has class {largest}, but the data set has {len(names)}.")


def _precision(
    predictions: Sequence[Detections], labels: Sequence[Labels], names: Sequence[str]
) -> npt.NDArray[np.float64]:
    """Return precision [10 IoU, 101 recall, classes, 4 areas]; -1 where there is no object."""
    try:
        from faster_coco_eval import COCO, COCOeval_faster
    except ImportError as error:
        raise MissingExtra("faster-coco-eval", "convert", "Evaluation") from error
    truth, found = _ground_truth(labels, names), _results(predictions)
    evaluator = COCOeval_faster(
        COCO(truth, print_function=_quiet),
        COCO({**truth, "annotations": found}, print_function=_quiet),
        "bbox",
        print_function=_quiet,
    )
    evaluator.params.maxDets = [MAX_DETECTIONS]
    evaluator.evaluate()
    evaluator.accumulate()
    return np.asarray(evaluator.eval["precision"], np.float64)[..., 0]


def _ground_truth(labels: Sequence[Labels], names: Sequence[str]) -> dict[str, Any]:
    annotations: list[dict[str, Any]] = []
    for image_id, label in enumerate(labels, 1):
        ignored = label.crowd | label.difficult
        rows = zip(
            _corner_and_size(label.boxes), label.class_ids.tolist(), label.areas.tolist(),
            ignored.tolist(), strict=True,
        )  # fmt: skip
        for box, class_id, area, ignore in rows:
            annotations.append({
                "id": len(annotations) + 1, "image_id": image_id, "category_id": class_id + 1,
                "bbox": box, "area": area, "iscrowd": int(ignore),
            })  # fmt: skip
    return {
        "images": [{"id": index} for index in range(1, len(labels) + 1)],
        "annotations": annotations,
        "categories": [{"id": index, "name": name} for index, name in enumerate(names, 1)],
    }


def _results(predictions: Sequence[Detections]) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = []
    for image_id, found in enumerate(predictions, 1):
        rows = zip(
            _corner_and_size(found.boxes), found.class_ids.tolist(), found.scores.tolist(),
            strict=True,
        )  # fmt: skip
        for box, class_id, score in rows:
            results.append({
                "id": len(results) + 1, "image_id": image_id, "category_id": class_id + 1,
                "bbox": box, "area": box[2] * box[3], "iscrowd": 0, "score": score,
            })  # fmt: skip
    return results


def _corner_and_size(boxes: npt.NDArray[np.float32]) -> list[list[float]]:
    corners = boxes.astype(np.float64)
    corners[:, 2:] -= corners[:, :2]
    return corners.tolist()  # type: ignore[no-any-return]


def _object_counts(labels: Sequence[Labels], classes: int) -> npt.NDArray[np.int64]:
    ids = [label.class_ids[~(label.crowd | label.difficult)] for label in labels]
    return np.bincount(np.concatenate([*ids, np.zeros(0, np.int32)]), minlength=classes)


def _mean(precision: npt.NDArray[np.float64]) -> float | None:
    known = precision[precision > -1]
    return float(known.mean()) if known.size else None


def _quiet(*words: object) -> None:
    """Take the place of the evaluator's print."""
