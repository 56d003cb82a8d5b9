"""Cameras that the operating system knows, through OpenCV."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import EdgeError
from edge_sdk.opencv import opencv
from edge_sdk.runtime.sources.source import Source


class WebcamSource(Source):
    """A camera by its number; `size` (height, width) and `fps` are asked of it.

    Raises
    ------
    EdgeError
        If it gives no frame, at the start or later.
    """

    live = True

    def __init__(
        self, name: str, number: int, size: tuple[int, int] | None = None, fps: float | None = None
    ) -> None:
        cv2 = opencv("Reading a camera")
        self._capture = cv2.VideoCapture(number)
        if size is not None:
            self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[0])
            self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[1])
        if fps is not None:
            self._capture.set(cv2.CAP_PROP_FPS, fps)
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the newest frame, not the oldest
        if not self._capture.read()[0]:
            self._capture.release()
            raise EdgeError(
                f"Camera {name} gives no picture: is it there, free, and yours to read? "
                "'edge-sdk run ... --source test://street' needs no camera."
            )
        promised = self._capture.get(cv2.CAP_PROP_FPS)
        super().__init__(name, promised if 0 < promised <= 1000 else 30.0)

    def _images(self) -> Iterator[npt.NDArray[np.uint8]]:
        while True:
            read, image = self._capture.read()
            if not read:
                raise EdgeError(f"Camera {self.name} gives no more pictures: was it unplugged?")
            yield image

    def close(self) -> None:
        """Give the camera back."""
        self._capture.release()
