"""Annotated video files."""

from __future__ import annotations

import errno
import os
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import EdgeError
from edge_sdk.files import replacing
from edge_sdk.opencv import opencv
from edge_sdk.runtime.file_series import FileSeries
from edge_sdk.runtime.sinks.encoder import Encoder, OpenCvEncoder, h264_encoder
from edge_sdk.runtime.sources import Source

if TYPE_CHECKING:
    from edge_sdk.runtime.result import Result

RETRY = 10.0
"""Seconds from a failure until another file is begun."""


class VideoFile:
    """One file a source, at the source's rate: `out.mp4`, and for further ones `out-2.mp4`...

    `address` may divide them, `out.mp4?every=600&keep=144` (see `FileSeries`).

    An .mp4 or .mkv is H.264 and grows as it is written: whatever happens to the program, it
    plays up to the last second. Other files (.avi, and all where there is no encoder for H.264)
    appear, whole, when the sink is closed. Where frames were missed, the last picture stays, so
    that the video keeps the time of the source. Where a file fails, as on a full disk, another is
    begun after a while.

    Raises
    ------
    EdgeError
        If there can be no such file.
    """

    def __init__(self, address: Path | str) -> None:
        opencv("Writing video")
        self._series = FileSeries(address)
        _check(self._series.path)
        self.name = str(address)
        self._files: dict[Source, _Writer] = {}
        self._numbers: dict[Source, int] = {}
        self._begun = 0
        self._failed: dict[Source, tuple[float, Exception]] = {}

    def __call__(self, result: Result) -> None:
        """Append a picture."""
        source = result.frame.source
        since, reason = self._failed.get(source, (0.0, None))
        if reason is not None and perf_counter() - since < RETRY:
            raise reason.with_traceback(None)
        try:
            if source in self._files and self._series.over(self._numbers[source]):
                self._files.pop(source).close()
            if source not in self._files:
                self._files[source] = self._begin(source, result.annotated.shape[:2])
            self._files[source].write(result.annotated, result.frame.timestamp)
        except (OSError, EdgeError) as error:
            self._failed[source] = perf_counter(), error
            if not self._series.divided:  # what is there is not written over
                self._numbers.pop(source, None)
            if source in self._files:
                with suppress(OSError):
                    self._files.pop(source).close()
            raise

    def _begin(self, source: Source, size: tuple[int, int]) -> _Writer:
        number = self._numbers.get(source, self._begun + 1)
        path, encoder = self._series.begin(number), None
        if path.suffix.lower() != ".avi":
            encoder = h264_encoder(path, size, source.fps)
        with ExitStack() as begun:
            if encoder is None:
                encoder = OpenCvEncoder(begun.enter_context(replacing(path)), size, source.fps)
            begun.callback(encoder.close)
            writer = _Writer(encoder, size, begun.pop_all())
        self._numbers[source], self._begun = number, max(number, self._begun)
        return writer

    def close(self) -> None:
        """Finish the files."""
        with ExitStack() as every:
            for writer in self._files.values():
                every.callback(writer.close)


class _Writer:
    """One video; pictures of another size are fitted into it. `stack` finishes it."""

    def __init__(self, encoder: Encoder, size: tuple[int, int], stack: ExitStack) -> None:
        self.close = stack.close
        self._cv2 = opencv("Writing video")
        self._encoder, self._size = encoder, size
        self._first: float | None = None

    def write(self, image: npt.NDArray[np.uint8], timestamp: float) -> None:
        if self._first is None:
            self._first = timestamp
        fitted = image if image.shape[:2] == self._size else self._fitted(image)
        self._encoder.write(fitted, timestamp - self._first)

    def _fitted(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        height, width = image.shape[:2]
        scale = min(self._size[0] / height, self._size[1] / width)
        fitted = self._cv2.resize(image, (round(width * scale), round(height * scale)))
        canvas = np.zeros((*self._size, 3), np.uint8)
        top, left = ((a - b) // 2 for a, b in zip(self._size, fitted.shape[:2], strict=True))
        canvas[top : top + fitted.shape[0], left : left + fitted.shape[1]] = fitted
        return canvas


def _check(path: Path) -> None:
    """Fail now rather than at the first picture, if nothing can be written there."""
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise EdgeError(f"Cannot write {path}: {error.strerror}.") from error
