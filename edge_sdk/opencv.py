"""OpenCV, loaded where pictures are read, drawn or written, and nowhere else."""

from __future__ import annotations

import os
from typing import Any

from edge_sdk.errors import MissingExtra


def opencv(purpose: str) -> Any:
    """Return the module cv2.

    Raises
    ------
    MissingExtra
        If it is not installed; `purpose` says what needed it.
    """
    # What goes wrong is told in one sentence of ours. Both speak up again where the user has
    # set them; both are read when OpenCV first looks.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    try:
        import cv2
    except ImportError as error:
        raise MissingExtra("opencv-python-headless", "camera", purpose) from error
    return cv2
