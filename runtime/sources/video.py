"""Video files, through OpenCV."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import EdgeError
from edge_sdk.opencv import opencv
from edge_sdk.runtime.sources.frame_memory import FrameMemory
from edge_sdk.runtime.sources.source import Source


class VideoSource(Source):
    """A video file, frame by frame.

    Parameters
    ----------
    name : for people.
    path : the file.
    fps : frames a second of video; None for the file's own.
    loop : how often to play it; None for ever.

    Raises
    ------
    EdgeError
        If no frame of it can be read.
    """

    def __init__(
        self, name: str, path: Path, *, fps: float | None = None, loop: int | None = 1
    ) -> None:
        self._cv2 = opencv("Reading video")
        self._path, self._loop = path, loop
        self._memory = FrameMemory()
        self._capture, self._first = self._open()
        own = self._capture.get(self._cv2.CAP_PROP_FPS)
        super().__init__(name, fps or (own if 0 < own <= 1000 else 30.0))
        frames = int(self._capture.get(self._cv2.CAP_PROP_FRAME_COUNT))
        self.frames = frames * loop if frames > 0 and loop is not None else None

    def _open(self) -> tuple[Any, npt.NDArray[np.uint8]]:
        capture = self._cv2.VideoCapture(str(self._path), self._cv2.CAP_FFMPEG)
        read, first = capture.read()
        if not read:
            capture.release()
            raise EdgeError(f"{self._path} is not a video that OpenCV can read, or it is damaged.")
        return capture, first

    def _images(self) -> Iterator[npt.NDArray[np.uint8]]:
        played = 0
        while True:
            read, image = True, self._first
            while read:
                yield image
                read, image = self._capture.read(self._memory.take(self._first.shape))
            played += 1
            if played == self._loop:
                return
            self._capture.release()
            self._capture, self._first = self._open()

    def close(self) -> None:
        """Close the file."""
        self._capture.release()
