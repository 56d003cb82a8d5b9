"""Video files, through OpenCV."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import EdgeError
from edge_sdk.opencv import opencv
from edge_sdk.runtime.sources.source import Source


class VideoSource(Source):
    """A video file, frame by frame.

    Raises
    ------
    EdgeError
        If no frame of it can be read.
    """

    def __init__(self, name: str, path: Path) -> None:
        cv2 = opencv("Reading video")
        self._capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        read, self._first = self._capture.read()
        if not read:
            self._capture.release()
            raise EdgeError(f"{path} is not a video that OpenCV can read, or it is damaged.")
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        super().__init__(name, fps if 0 < fps <= 1000 else 30.0)
        frames = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.frames = frames if frames > 0 else None

    def _images(self) -> Iterator[npt.NDArray[np.uint8]]:
        read, image = True, self._first
        while read:
            yield image
            read, image = self._capture.read()

    def close(self) -> None:
        """Close the file."""
        self._capture.release()
