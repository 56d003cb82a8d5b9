"""Pictures with the boxes of float and of INT8 side by side, where the two differ most."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edge_sdk.drawing import draw
from edge_sdk.opencv import opencv

if TYPE_CHECKING:
    from edge_sdk.detections import Detections
    from edge_sdk.engine_trial import EngineTrial
    from edge_sdk.head_spec import HeadSpec

Image = npt.NDArray[np.uint8]

CAMERA = "test://street?split=calibration&size=640x360"
CANDIDATES = 24
SHOWN = 3
_WIDEST = 640
"""Pixels of one picture's width."""


def differing_images(
    spec: HeadSpec, trial: EngineTrial, source: Path | str | None
) -> list[tuple[bytes, bytes, str]]:
    """Return JPEG pictures of float and of INT8, with captions; the worst first.

    Parameters
    ----------
    spec : the model's contract.
    trial : with the engines "float" and "int8".
    source : of the images; None takes frames of the test camera.

    Returns
    -------
    Nothing if neither engine recognizes an object on any image.
    """
    from edge_sdk.calibration.pictures import read_pictures
    from edge_sdk.calibration.shift import image_shift

    names, images = [], []
    for picture, image in read_pictures(source or CAMERA, CANDIDATES):
        name = picture.name.rpartition("/")[2]
        names.append(name if source else f"Test camera, frame {name.rpartition(' ')[2]}")
        images.append(_small(image))
    seen = {name: _seen(spec, trial, name, images) for name in ("float", "int8")}
    if not any(len(found) for one in seen.values() for found, _ in one):
        return []
    pairs = list(zip(seen["float"], seen["int8"], strict=True))
    losses = [image_shift(spec, before, after).loss for (_, before), (_, after) in pairs]
    result = []
    for at in np.argsort(losses)[::-1][:SHOWN]:
        before, after = (found for found, _ in pairs[at])
        caption = (
            f"{names[at]}: float first ({len(before)} objects), then INT8 ({len(after)}); "
            f"shift {losses[at]:.4f}"
        )
        result.append((_drawn(images[at], before), _drawn(images[at], after), caption))
    return result


def _seen(
    spec: HeadSpec, trial: EngineTrial, name: str, images: Sequence[Image]
) -> list[tuple[Detections, list[npt.NDArray[np.float32]]]]:
    """Return what an engine detects on the images, and its raw outputs."""
    from edge_sdk.runtime.letterbox import Letterbox
    from edge_sdk.runtime.postprocess import Postprocessor
    from edge_sdk.suppression import RUNNING

    letterbox = Letterbox(spec.preprocessing, spec.input_size)
    postprocessor = Postprocessor(spec, **RUNNING)
    engine = trial.open(name, spec)
    try:
        worker = engine.worker()
        result = []
        for image in images:
            placement = letterbox(image, worker.input[0])
            outputs = [output[0].copy() for output in worker()]
            height, width = image.shape[:2]
            result.append((postprocessor(outputs, placement, (height, width)), outputs))
        return result
    finally:
        engine.close()


def _drawn(image: Image, found: Detections) -> bytes:
    """Return the image with boxes as JPEG."""
    cv2 = opencv("The pictures of a report")
    quality = [cv2.IMWRITE_JPEG_QUALITY, 80]
    data: bytes = cv2.imencode(".jpg", draw(image.copy(), found), quality)[1].tobytes()
    return data


def _small(image: Image) -> Image:
    """Return an image at most `_WIDEST` pixels wide."""
    height, width = image.shape[:2]
    if width <= _WIDEST:
        return image
    cv2 = opencv("The pictures of a report")
    size = (_WIDEST, max(1, round(height * _WIDEST / width)))
    small: Image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return small
