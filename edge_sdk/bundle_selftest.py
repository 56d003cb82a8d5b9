"""What a bundle stores for `edge-sdk selftest`: frames, and what is seen on them at build time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_sdk.detections import Detections
from edge_sdk.errors import MissingExtra
from edge_sdk.head_spec import HeadSpec
from edge_sdk.runtime.agreement import SLACK
from edge_sdk.runtime.backends import TARGETS, installed, open_engine
from edge_sdk.runtime.detector import Detector
from edge_sdk.runtime.selftest import Expectation
from edge_sdk.suppression import RUNNING

FRAMES = 8
GUESSES = 24
"""Objects that are compared at least: the best guesses where too few are recognized."""
STREET = tuple(f"test://street?split=calibration&size={size}" for size in ("512x288", "288x384"))
"""One wide and one tall camera, so that every network's letterbox has to pad."""
_LONGEST = 640
"""Pixels of the longer side of a user's stored image."""

Image = npt.NDArray[np.uint8]


def selftest_files(
    model: Path | str,
    engine: Path,
    target: str,
    spec: HeadSpec,
    images: Path | str | None = None,
) -> dict[str, bytes | str]:
    """Return the files of a bundle's selftest.

    The float network runs in ONNX Runtime, whatever the target. Its detections that score at
    least 0.25, as detectors run by default, are the objects to be found again; if these are
    fewer than 24 on all frames, the 24 that score best.

    Parameters
    ----------
    model : the float ONNX file.
    engine, target : the engine that the bundle ships. What it sees here is stored too, if its
        target runs here.
    spec : the model's contract.
    images : where up to 8 pictures to store are taken from: a folder, a glob, or
        `test://street?...`; None takes the test camera's.

    Raises
    ------
    EdgeError
        If an image cannot be read, or an engine fails.
    MissingExtra
        If ONNX Runtime is not installed.
    """
    if not installed("onnxruntime"):
        raise MissingExtra("onnxruntime", "onnxruntime", "The reference of a bundle's selftest")
    pictures = _street() if images is None else _pictures(images, FRAMES)
    names, frames = zip(*pictures, strict=True)
    seen = _detect(Path(model), "onnxruntime", spec, frames, 0.0)
    score = _least_score(seen)
    built = {}
    if target in TARGETS:
        built[target] = _detect(engine, target, spec, frames, score / SLACK)
    return Expectation(
        names=names,
        frames=frames,
        score=score,
        recognized=score == RUNNING["score"],
        expected=tuple(found.above(score / SLACK) for found in seen),
        built=built,
    ).files()


def _least_score(seen: Sequence[Detections]) -> float:
    """Return the running score, or a lower one that as many as `GUESSES` reach."""
    scores = np.sort(np.concatenate([found.scores for found in seen]))[::-1]
    running = float(RUNNING["score"])
    return min(running, float(scores[:GUESSES][-1])) if len(scores) else running


def _detect(
    engine: Path, target: str, spec: HeadSpec, frames: Sequence[Image], score: float
) -> tuple[Detections, ...]:
    settings = {**RUNNING, "score": score}
    with Detector.from_engine(open_engine(engine, target, spec), spec, **settings) as detector:
        return tuple(detector(frame) for frame in frames)


@lru_cache(maxsize=1)
def _street() -> tuple[tuple[str, Image], ...]:
    return tuple(pair for camera in STREET for pair in _pictures(camera, FRAMES // len(STREET)))


def _pictures(source: Path | str, count: int) -> tuple[tuple[str, Image], ...]:
    """Return pictures with their names, without the folders that they lie in."""
    from edge_sdk.calibration.pictures import read_pictures

    return tuple(
        (picture.name.rpartition("/")[2], _small(image))
        for picture, image in read_pictures(source, count)
    )


def _small(image: Image) -> Image:
    """Return an image whose longer side is at most `_LONGEST` pixels."""
    height, width = image.shape[:2]
    factor = _LONGEST / max(height, width)
    if factor >= 1:
        return image
    from edge_sdk.opencv import opencv

    cv2 = opencv("Storing images for a selftest")
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small: Image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return small
