"""Run a detector over a data set."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from edge_sdk.datasets.sample import Dataset
from edge_sdk.detections import Detections
from edge_sdk.evaluation.accuracy import Accuracy, mean_average_precision
from edge_sdk.evaluation.class_match import match_classes
from edge_sdk.progress import Progress, silent

EVALUATION: dict[str, Any] = {
    "score": 0.01,
    "iou": 0.65,
    "class_agnostic": False,
    "multi_label": True,
    "max_candidates": 1000,
    "max_detections": 300,
}
"""The settings of `Detector` that accuracy is measured with."""


class FrameDetector(Protocol):
    """What is evaluated: `edge_sdk.Detector`, or anything that is called like it."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the classes."""

    def __call__(self, frame: npt.NDArray[np.uint8], /) -> Detections:
        """Detect objects on a BGR frame uint8 [h, w, 3]."""


def predict(
    detector: FrameDetector, dataset: Dataset, progress: Progress = silent
) -> list[Detections]:
    """Return the detections on each image, with the data set's class ids.

    Raises
    ------
    EdgeError
        If an image cannot be read, or the classes cannot be matched.
    """
    classes = match_classes(detector.names, dataset.names)
    predictions = []
    for index, sample in enumerate(dataset.images):
        predictions.append(classes.renumber(detector(sample.read())))
        progress(index + 1, len(dataset), "evaluating")
    return predictions


def evaluate(detector: FrameDetector, dataset: Dataset, progress: Progress = silent) -> Accuracy:
    """Return a detector's accuracy on a data set.

    Parameters
    ----------
    detector : made with the settings `EVALUATION`: `Detector("x.edge", **EVALUATION)`. A higher
        score cuts off the tail of the precision-recall curve.
    dataset : from `open_dataset`.

    Raises
    ------
    EdgeError
        If an image cannot be read, or the classes cannot be matched.
    """
    predictions = predict(detector, dataset, progress)
    remarks = dataset.remarks + match_classes(detector.names, dataset.names).remarks
    accuracy = mean_average_precision(predictions, dataset.images, dataset.names)
    return replace(accuracy, remarks=remarks)
