"""Annotated video files, through OpenCV."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import EdgeError
from edge_sdk.files import replacing
from edge_sdk.opencv import opencv
from edge_sdk.runtime.sources import Source

if TYPE_CHECKING:
    from edge_sdk.runtime.result import Result

CODECS = {".mp4": "mp4v", ".mkv": "mp4v", ".avi": "MJPG"}
"""Codecs that every build of OpenCV can write."""


class VideoFile:
    """One file a source, at the source's rate: `out.mp4`, and for further ones `out-2.mp4`...

    The file appears, whole, when the sink is closed. Frames that the detector missed are
    filled with the last picture, so that the video keeps the time of the source.
    """

    def __init__(self, path: Path) -> None:
        opencv("Writing video")
        self.name = str(path)
        self._path = path
        self._files: dict[Source, _Writer] = {}
        self._stack = ExitStack()

    def __call__(self, result: Result) -> None:
        """Append a picture."""
        source = result.frame.source
        if source not in self._files:
            self._files[source] = self._begin(source, result.annotated.shape[:2])
        self._files[source].write(result.annotated, result.frame.index)

    def _begin(self, source: Source, size: tuple[int, int]) -> _Writer:
        number = len(self._files) + 1
        name = self._path.stem + (f"-{number}" if number > 1 else "") + self._path.suffix
        with ExitStack() as begun:
            path = begun.enter_context(replacing(self._path.with_name(name)))
            writer = _Writer(path, size, source.fps)
            begun.callback(writer.close)
            self._stack.enter_context(begun.pop_all())
        return writer

    def close(self) -> None:
        """Finish the files."""
        self._stack.close()


class _Writer:
    """One video; pictures of another size are fitted into it."""

    def __init__(self, path: Path, size: tuple[int, int], fps: float) -> None:
        self._cv2 = opencv("Writing video")
        self._size = size
        self._last = -1
        self._canvas: npt.NDArray[np.uint8] | None = None
        code = self._cv2.VideoWriter.fourcc(*CODECS[path.suffix.lower()])
        self._writer = self._cv2.VideoWriter(str(path), code, fps, size[::-1])
        if not self._writer.isOpened():
            raise EdgeError(f"OpenCV cannot write video to {path.name}: try another format.")

    def write(self, image: npt.NDArray[np.uint8], index: int) -> None:
        if self._canvas is not None:
            for _ in range(index - self._last - 1):
                self._writer.write(self._canvas)
        self._canvas = image if image.shape[:2] == self._size else self._fitted(image)
        self._writer.write(self._canvas)
        self._last = index

    def _fitted(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        height, width = image.shape[:2]
        scale = min(self._size[0] / height, self._size[1] / width)
        fitted = self._cv2.resize(image, (round(width * scale), round(height * scale)))
        canvas = np.zeros((*self._size, 3), np.uint8)
        top, left = ((a - b) // 2 for a, b in zip(self._size, fitted.shape[:2], strict=True))
        canvas[top : top + fitted.shape[0], left : left + fitted.shape[1]] = fitted
        return canvas

    def close(self) -> None:
        self._writer.release()
