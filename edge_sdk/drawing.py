"""Boxes and labels on a picture."""

from __future__ import annotations

import colorsys
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sdk.detections import Detection, Detections
from edge_sdk.opencv import opencv

_GOLDEN = 0.61803398875
"""Turns of the hue between two classes: neighbours differ most, and no two are the same."""

Colour = tuple[int, int, int]


@lru_cache(maxsize=1024)
def class_colour(class_id: int) -> Colour:
    """Return a class's own colour, BGR 0..255, the same in every picture and every run."""
    red, green, blue = colorsys.hls_to_rgb(
        (0.33 + class_id * _GOLDEN) % 1, (0.5, 0.62, 0.42)[class_id % 3], 0.85
    )
    return round(blue * 255), round(green * 255), round(red * 255)


def draw(image: npt.NDArray[np.uint8], detections: Detections) -> npt.NDArray[np.uint8]:
    """Draw detections onto a BGR image [H, W, 3], in place, and return it.

    Lines and letters grow with the image. Labels lie over all boxes, the best on top.
    """
    cv2 = opencv("Drawing")
    scale = max(0.4, min(image.shape[:2]) / 1080 * 0.8)
    thickness = max(2, round(scale * 4))
    worst_first = list(detections)[::-1]
    for detection in worst_first:
        x1, y1, x2, y2 = map(round, detection.box)
        colour = class_colour(detection.class_id)
        cv2.rectangle(image, (x1, y1), (x2, y2), colour, thickness, cv2.LINE_AA)
    for detection in worst_first:
        _label(cv2, image, detection, scale, thickness)
    return image


def _label(
    cv2: Any, image: npt.NDArray[np.uint8], detection: Detection, scale: float, thickness: int
) -> None:
    """Write name and score on a plate above the box, or inside it at the image's edge."""
    text = f"{detection.name} {detection.score:.2f}"
    weight = max(1, round(scale * 1.5))
    (width, height), baseline = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, weight)
    pad = max(2, height // 4)
    plate = height + baseline + pad
    left = round(detection.box[0]) - thickness // 2
    left = max(0, min(left, image.shape[1] - width - 2 * pad))
    top = round(detection.box[1]) - plate
    top = top if top >= 0 else max(0, round(detection.box[1]))
    colour = class_colour(detection.class_id)
    cv2.rectangle(image, (left, top), (left + width + 2 * pad, top + plate), colour, cv2.FILLED)
    cv2.putText(
        image, text, (left + pad, top + pad // 2 + height + baseline // 4),
        cv2.FONT_HERSHEY_SIMPLEX, scale, _ink(colour), weight, cv2.LINE_AA,
    )  # fmt: skip


def _ink(colour: Colour) -> Colour:
    """Return black or white, whichever reads better on a colour."""
    blue, green, red = colour
    return (0, 0, 0) if 0.114 * blue + 0.587 * green + 0.299 * red > 140 else (255, 255, 255)
