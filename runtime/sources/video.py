"""Video files, through OpenCV; through PyAV where a chip decodes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import EdgeError
from edge_sdk.opencv import opencv
from edge_sdk.runtime.sources.decoders import StreamDecoder, accelerator, picture
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
        self.files = (path,)
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


class ChipVideoSource(Source):
    """A video file that a chip decodes; the rest is as with `VideoSource`.

    `chip` is what `decoders.choose` returned.
    """

    def __init__(
        self, name: str, path: Path, chip: str, *, fps: float | None = None, loop: int | None = 1
    ) -> None:
        self._path, self._chip, self._loop = path, chip, loop
        self.files = (path,)
        with self._open() as file:
            stream = file.streams.video[0]
            own = float(stream.average_rate or 0)
            frames = stream.frames
        super().__init__(name, fps or (own if 0 < own <= 1000 else 30.0))
        self.frames = frames * loop if frames > 0 and loop is not None else None

    def _open(self) -> Any:
        import av

        try:
            file = av.open(str(self._path), hwaccel=accelerator(self._chip))
            if file.streams.video:
                return file
        except (av.FFmpegError, ValueError, OSError):
            pass
        raise EdgeError(f"{self._path} is not a video that FFmpeg can read, or it is damaged.")

    def _images(self) -> Iterator[npt.NDArray[np.uint8]]:
        played = 0
        while played != self._loop:
            with self._open() as file:
                stream = file.streams.video[0]
                decode = StreamDecoder(stream, self._chip, self.name, {})
                for packet in file.demux(stream):
                    for frame in decode(packet) or ():
                        yield picture(frame)
            self._chip = decode.chip  # one that failed is not tried again
            played += 1
