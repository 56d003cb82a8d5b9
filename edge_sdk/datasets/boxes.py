"""Checks that all label formats share: every box ends inside its image, or is counted."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from edge_sdk.errors import EdgeError

Box = tuple[float, float, float, float]

TOLERANCE = 1.0
"""Pixels that a box may leave its image without a remark: rounding, one-based corners."""

CLIPPED = "boxes reached out of their image and were clipped"
EMPTY = "boxes without area were left out"
OUTSIDE = "boxes lay outside of their image and were left out"


def clip_box(box: Sequence[float], size: tuple[int, int], remarks: Counter[str]) -> Box | None:
    """Clip a box x1, y1, x2, y2 in pixels to its image; None if nothing is left of it.

    Parameters
    ----------
    size : (height, width) of the image.
    remarks : counts what was clipped or left out.
    """
    x1, y1, x2, y2 = box
    height, width = size
    if x2 <= x1 or y2 <= y1:
        remarks[EMPTY] += 1
        return None
    if x1 >= width or y1 >= height or x2 <= 0 or y2 <= 0:
        remarks[OUTSIDE] += 1
        return None
    if max(-x1, -y1, x2 - width, y2 - height) > TOLERANCE:
        remarks[CLIPPED] += 1
    return max(x1, 0.0), max(y1, 0.0), min(x2, width), min(y2, height)


def numbers(fields: Sequence[object], where: str) -> list[float]:
    """Return fields as finite numbers.

    Raises
    ------
    EdgeError
        If one is not; the message begins with `where`.
    """
    values = []
    for field in fields:
        try:
            value = float(field)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            value = math.nan
        if not math.isfinite(value):
            raise EdgeError(f"{where}: {field!r} is not a number.")
        values.append(value)
    return values


def sentences(remarks: Counter[str]) -> tuple[str, ...]:
    """Return remarks for people, most frequent first."""
    return tuple(f"{count} {what}" for what, count in remarks.most_common())
