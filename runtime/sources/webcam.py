"""Cameras that the operating system knows, through OpenCV."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import EdgeError
from edge_sdk.opencv import opencv
from edge_sdk.runtime.sources.frame_memory import FrameMemory
from edge_sdk.runtime.sources.source import Source


class WebcamSource(Source):
    """A camera by its number, opened when it is read; `size` (height, width) and `fps` are
    asked of it.

    Raises
    ------
    EdgeError
        While reading, if it gives no frame, at the start or later.
    """

    live = True

    def __init__(
        self, name: str, number: int, size: tuple[int, int] | None = None, fps: float | None = None
    ) -> None:
        super().__init__(name, fps or 30.0)
        self._cv2 = opencv("Reading a camera")
        self._number, self._size, self._fps = number, size, fps
        self._memory = FrameMemory()
        self._closed = threading.Event()

    def _images(self) -> Iterator[npt.NDArray[np.uint8]]:
        capture = self._open()
        try:
            read, image = capture.read()
            if not read:
                raise EdgeError(
                    f"Camera {self.name} gives no picture: is it there, free, and yours to read? "
                    "'edge-sdk run ... --source test://street' needs no camera."
                )
            promised = capture.get(self._cv2.CAP_PROP_FPS)
            self.fps = promised if 0 < promised <= 1000 else self.fps
            while read and not self._closed.is_set():
                yield image
                read, image = capture.read(self._memory.take(image.shape))
            if not read:
                raise EdgeError(f"Camera {self.name} gives no more pictures: was it unplugged?")
        finally:
            capture.release()

    def _open(self) -> Any:
        cv2 = self._cv2
        capture = cv2.VideoCapture(self._number)
        if self._size is not None:
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self._size[0])
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, self._size[1])
        if self._fps is not None:
            capture.set(cv2.CAP_PROP_FPS, self._fps)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the newest frame, not the oldest
        return capture

    def close(self) -> None:
        """Give the camera back, after the picture that is being read."""
        self._closed.set()
