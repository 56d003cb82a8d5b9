"""OpenCV, loaded where pictures are read, drawn or written, and nowhere else."""

from __future__ import annotations

from typing import Any

from edge_sdk.errors import MissingExtra


def opencv(purpose: str) -> Any:
    """Return the module cv2.

    Raises
    ------
    MissingExtra
        If it is not installed; `purpose` says what needed it.
    """
    try:
        import cv2
    except ImportError as error:
        raise MissingExtra("opencv-python-headless", "camera", purpose) from error
    return cv2
