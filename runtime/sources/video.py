"""Video files, through OpenCV; through PyAV where a chip decodes them, or OpenCV cannot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import EdgeError
from edge_sdk.opencv import opencv
from edge_sdk.runtime.sources.decoders import StreamDecoder, accelerator, picture
from edge_sdk.runtime.sources.file_clock import FileClock
from edge_sdk.runtime.sources.frame_memory import FrameMemory
from edge_sdk.runtime.sources.source import Source


class _FileSource(Source):
    """What video files have in common, whoever decodes them.

    Parameters
    ----------
    own : frames a second, as the file tells; the others as with `VideoSource`.
    frames : how many the file says it has, or nothing above 0.
    """

    def __init__(
        self, name: str, path: Path, fps: float | None, own: float, frames: int, loop: int | None
    ) -> None:
        super().__init__(name, fps or (own if 0 < own <= 1000 else 30.0))
        self.files = (path,)
        self.frames = frames * loop if frames > 0 and loop is not None else None
        self._by_rate = fps is not None
        self._clock = FileClock(self.fps)
        self._told: float | None = None

    def _time(self, index: int) -> float:
        return super()._time(index) if self._by_rate else self._clock(self._told)


class VideoSource(_FileSource):
    """A video file, frame by frame, each at the time that the file tells.

    Parameters
    ----------
    name : for people.
    path : the file.
    fps : frames a second of video; None for the file's own times.
    loop : how often to play it; None for ever. Times go on over the rounds.

    Raises
    ------
    EdgeError
        If no frame of it can be read.
    """

    def __init__(
        self, name: str, path: Path, *, fps: float | None = None, loop: int | None = 1
    ) -> None:
        self._cv2 = cv2 = opencv("Reading video")
        self._path, self._loop = path, loop
        self._memory = FrameMemory()
        self._capture, self._first = self._open()
        own, frames = map(self._capture.get, (cv2.CAP_PROP_FPS, cv2.CAP_PROP_FRAME_COUNT))
        super().__init__(name, path, fps, own, int(frames), loop)

    def _open(self) -> tuple[Any, npt.NDArray[np.uint8]]:
        capture = self._cv2.VideoCapture(str(self._path), self._cv2.CAP_FFMPEG)
        read, first = capture.read()
        if not read:
            capture.release()
            raise EdgeError(
                f"{self._path} is not a video that can be read here, or it is damaged; "
                f"'ffmpeg -i {self._path} -c:v libx264 readable.mp4' may mend that."
            )
        return capture, first

    def _images(self) -> Iterator[npt.NDArray[np.uint8]]:
        self._clock, played = FileClock(self.fps), 0
        while True:
            read, image = True, self._first
            while read:
                # After a picture was read, this is its own time, and not the next one's.
                self._told = self._capture.get(self._cv2.CAP_PROP_POS_MSEC) / 1e3
                yield image
                read, image = self._capture.read(self._memory.take(self._first.shape))
            played += 1
            if played == self._loop:
                return
            self._capture.release()
            self._capture, self._first = self._open()
            self._clock.begin()

    def close(self) -> None:
        """Close the file."""
        self._capture.release()


class AvVideoSource(_FileSource):
    """A video file through PyAV; the rest is as with `VideoSource`.

    `chip` is who decodes, as `decoders.choose` returned it.
    """

    def __init__(
        self, name: str, path: Path, chip: str, *, fps: float | None = None, loop: int | None = 1
    ) -> None:
        self.name = name  # for the log, while the first picture is decoded
        self._path, self._chip, self._loop = path, chip, loop
        with self._open() as file:
            stream = file.streams.video[0]
            own, frames = float(stream.average_rate or 0), stream.frames
            if next(self._frames(file), None) is None:
                raise self._unreadable()
        super().__init__(name, path, fps, own, frames, loop)

    def _open(self) -> Any:
        import av

        with suppress(av.FFmpegError, ValueError, OSError):
            file = av.open(str(self._path), hwaccel=accelerator(self._chip))
            if file.streams.video:
                return file
        raise self._unreadable()

    def _unreadable(self) -> EdgeError:
        return EdgeError(f"{self._path} is not a video that FFmpeg can read, or it is damaged.")

    def _frames(self, file: Any) -> Iterator[Any]:
        stream = file.streams.video[0]
        decode = StreamDecoder(stream, self._chip, self.name, {})
        for packet in file.demux(stream):
            frames = decode(packet)
            self._chip = decode.chip  # one that failed is not tried again
            yield from frames or ()

    def _images(self) -> Iterator[npt.NDArray[np.uint8]]:
        self._clock, played = FileClock(self.fps), 0
        while played != self._loop:
            self._clock.begin()
            with self._open() as file:
                for frame in self._frames(file):
                    self._told = frame.time
                    yield _upright(frame)
            played += 1


def _upright(frame: Any) -> npt.NDArray[np.uint8]:
    """Return PyAV's frame turned as the file says, as OpenCV does.

    PyAV 13 does not tell, nor do the decoders of V4L2.
    """
    turns = getattr(frame, "rotation", 0) // 90 % 4
    image = picture(frame)
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image
