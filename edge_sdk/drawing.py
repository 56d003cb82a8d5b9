"""Boxes and labels on a picture."""

from __future__ import annotations

import colorsys
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sdk.detections import Detections
from edge_sdk.errors import EdgeError
from edge_sdk.opencv import opencv

_GOLDEN = 0.61803398875
"""Turns of the hue between two numbers: neighbours differ most, and no two are the same."""

Colour = tuple[int, int, int]


@lru_cache(maxsize=1024)
def colour_of(number: int) -> Colour:
    """Return the colour of a class or an object, BGR 0..255, the same in every picture and run."""
    red, green, blue = colorsys.hls_to_rgb(
        (0.33 + number * _GOLDEN) % 1, (0.5, 0.62, 0.42)[number % 3], 0.85
    )
    return round(blue * 255), round(green * 255), round(red * 255)


def draw(image: npt.NDArray[np.uint8], detections: Detections) -> npt.NDArray[np.uint8]:
    """Draw detections onto a BGR image [H, W, 3], in place, and return it.

    Lines and letters grow with the image. Labels lie over all boxes, the best on top. Objects
    that are followed have their number before their name, and a colour each in place of their
    class's.

    Raises
    ------
    EdgeError
        If the image is no such array, or OpenCV cannot write into it.
    """
    cv2 = opencv("Drawing")
    _check(image)
    scale = max(0.4, min(image.shape[:2]) / 1080 * 0.8)
    thickness = max(2, round(scale * 4))
    ids = detections.track_ids
    numbers = (detections.class_ids if ids is None else ids).tolist()
    worst_first = list(zip(detections, numbers, strict=True))[::-1]
    for detection, number in worst_first:
        x1, y1, x2, y2 = map(round, detection.box)
        cv2.rectangle(image, (x1, y1), (x2, y2), colour_of(number), thickness, cv2.LINE_AA)
    for detection, number in worst_first:
        text = f"{detection.name} {detection.score:.2f}"
        text = text if ids is None else f"#{number} {text}"
        _label(cv2, image, text, detection.box, colour_of(number), scale, thickness)
    return image


def _check(image: Any) -> None:
    """Refuse what OpenCV would with words of its own."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.shape[2:] != (3,):
        raise EdgeError("Detections are drawn onto a uint8 array [height, width, 3] in BGR.")
    dense = image.strides[1:] == (3, 1) and image.strides[0] >= 3 * image.shape[1]
    if not (dense and image.flags.writeable):
        raise EdgeError(
            "Detections cannot be drawn onto an array that is read-only, flipped or otherwise not "
            "laid out row by row: give numpy.array(image), a copy."
        )


def _label(
    cv2: Any, image: npt.NDArray[np.uint8], text: str, box: tuple[float, ...], colour: Colour,
    scale: float, thickness: int,
) -> None:  # fmt: skip
    """Write a text on a plate above the box, or inside it at the image's edge."""
    weight = max(1, round(scale * 1.5))
    (width, height), baseline = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, weight)
    pad = max(2, height // 4)
    plate = height + baseline + pad
    left = round(box[0]) - thickness // 2
    left = max(0, min(left, image.shape[1] - width - 2 * pad))
    top = round(box[1]) - plate
    top = top if top >= 0 else max(0, round(box[1]))
    cv2.rectangle(image, (left, top), (left + width + 2 * pad, top + plate), colour, cv2.FILLED)
    cv2.putText(
        image, text, (left + pad, top + pad // 2 + height + baseline // 4),
        cv2.FONT_HERSHEY_SIMPLEX, scale, _ink(colour), weight, cv2.LINE_AA,
    )  # fmt: skip


def _ink(colour: Colour) -> Colour:
    """Return black or white, whichever reads better on a colour."""
    blue, green, red = colour
    return (0, 0, 0) if 0.114 * blue + 0.587 * green + 0.299 * red > 140 else (255, 255, 255)
