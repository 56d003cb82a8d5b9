"""Detections of all candidates on held-out data, kept on disk; what each loses against float."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from hybrid_workshop import FLOAT, Candidate

from edge_sdk.cli.console import progress_bar
from edge_sdk.datasets import Dataset
from edge_sdk.detections import Detections
from edge_sdk.evaluation import EVALUATION, match, mean_average_precision, paired_differences
from edge_sdk.evaluation.class_match import match_classes
from edge_sdk.files import replacing
from edge_sdk.head_spec import HeadSpec
from edge_sdk.runtime import Detector, open_engine

BLOCK = 250
"""Images between two saves."""


class Detected:
    """Detections of one engine on the first images of a data set, in one file."""

    def __init__(self, folder: Path, candidate: Candidate, target: str, dataset: Dataset) -> None:
        digest = hashlib.sha256(f"{target} {dataset.source} {dataset.split}".encode())
        for path in (candidate.file, candidate.file.with_suffix(".bin")):
            digest.update(path.read_bytes() if path.is_file() else b"")
        self.path = folder / f"{digest.hexdigest()[:20]}.npz"
        self.names = dataset.names
        self.found: list[Detections] = []
        if self.path.is_file():
            self._load()

    def _load(self) -> None:
        with np.load(self.path) as arrays:
            ends = np.cumsum(arrays["counts"])[:-1]
            parts = [np.split(arrays[name], ends) for name in ("boxes", "scores", "class_ids")]
        self.found = [Detections(*part, self.names) for part in zip(*parts, strict=True)]

    def save(self) -> None:
        """Write all detections so far."""
        self.path.parent.mkdir(exist_ok=True)
        with replacing(self.path) as beside, open(beside, "wb") as file:
            np.savez(
                file,
                boxes=np.concatenate([one.boxes for one in self.found]),
                scores=np.concatenate([one.scores for one in self.found]),
                class_ids=np.concatenate([one.class_ids for one in self.found]),
                counts=np.array(list(map(len, self.found))),
            )


def detect(
    folder: Path, candidates: list[Candidate], target: str, spec: HeadSpec, dataset: Dataset
) -> dict[str, list[Detections]]:
    """Return the detections by candidate; runs what is missing, each image read once.

    Candidates that are the same file, byte for byte, share their detections.
    """
    detected = {one.name: Detected(folder, one, target, dataset) for one in candidates}
    same = {one.path: name for name, one in reversed(detected.items())}
    detected = {name: detected[same[one.path]] for name, one in detected.items()}
    classes = match_classes(spec.class_names, dataset.names)
    with ExitStack() as stack, progress_bar() as progress:
        detectors = {
            one.name: stack.enter_context(
                Detector.from_engine(open_engine(one.file, target, spec, 1), spec, **EVALUATION)
            )
            for one in candidates
            if one.name in same.values() and len(detected[one.name].found) < len(dataset)
        }
        for index, sample in enumerate(dataset.images, 1):
            missing = [name for name in detectors if len(detected[name].found) < index]
            frame = sample.read() if missing else None
            for name in missing:
                detected[name].found.append(classes.renumber(detectors[name](frame)))
            if missing and (index % BLOCK == 0 or index == len(dataset)):
                for name in missing:
                    detected[name].save()
            progress(index, len(dataset), "detecting")
    return {name: one.found for name, one in detected.items()}


def losses(
    found: dict[str, list[Detections]], dataset: Dataset, views: int
) -> dict[str, dict[str, float]]:
    """Return accuracy and loss in points by candidate, with the loss's two-sided 95 % bounds.

    `views` is how many consecutive samples show the same image.
    """
    samples, names = dataset.images, dataset.names
    different = list({id(one): one for one in (found[FLOAT], *found.values())}.values())
    accuracies = [mean_average_precision(one, samples, names).map or 0.0 for one in different]
    matches = [match(one, samples, names) for one in different]
    rows = [
        {
            "mAP50_95": round(100 * accuracy, 2),
            "loss": round(100 * loss.value, 3),
            "lower": round(100 * loss.lower, 3),
            "upper": round(100 * loss.upper, 3),
        }
        for accuracy, loss in zip(
            accuracies, paired_differences(matches[0], matches, block=views), strict=True
        )
    ]
    numbers = {id(one): number for number, one in enumerate(different)}
    return {name: rows[numbers[id(one)]] for name, one in found.items()}
