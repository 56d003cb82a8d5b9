"""Pictures into a video file: H.264 through PyAV where it can be had, else through OpenCV."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import EdgeError
from edge_sdk.opencv import opencv
from edge_sdk.runtime.log import log

Image = npt.NDArray[np.uint8]

H264 = {
    "h264_nvenc": {},
    "h264_v4l2m2m": {},
    "libx264": {"preset": "ultrafast", "crf": "23"},
    "libopenh264": {},
}
"""Encoders and their options, in the order of trying: a chip's own leaves the CPU alone."""

CODECS = {".mp4": "mp4v", ".mkv": "mp4v", ".avi": "MJPG"}
"""Codecs that every build of OpenCV can write."""

SECONDS = 1.0
"""Of video between pictures that stand by themselves; so much is lost at most when killed."""

TICKS = 90_000
"""A second's, that the moments of pictures are counted in."""

FILL = 10.0
"""Seconds that the last picture is repeated for, at most, where a file's rate is fixed."""

FRAGMENTS = "frag_keyframe+empty_moov+default_base_moof"
"""Of an .mp4. Anything that ends as a plain file keeps an index of all pictures meanwhile, which
takes 190 MB of memory a day."""


class Encoder(Protocol):
    """A video file that is being written."""

    def write(self, image: Image, moment: float) -> None:
        """Append a picture, BGR uint8 [H, W, 3] of the size of the video.

        It is to be seen from `moment` on, in seconds since the first, until the next one.
        """

    def close(self) -> None:
        """Finish the file."""


def h264_encoder(path: Path, size: tuple[int, int], fps: float) -> Encoder | None:
    """Begin a file with the first encoder that works here; None, with a word in the log, if none.

    Raises
    ------
    EdgeError
        If the file cannot be written.
    """
    try:
        import av
    except ImportError:
        log.warning("%s is not written as H.264: pip install 'edge-sdk[camera]' for that", path)
        return None
    for codec, options in H264.items():
        if codec in av.codecs_available and _works(av, codec, options, size, fps):
            return _AvEncoder(av, path, codec, size, fps)
    log.warning("%s is not written as H.264: this machine has no encoder that works", path)
    return None


def _works(av: Any, codec: str, options: dict[str, str], size: tuple[int, int], fps: float) -> bool:
    """Tell whether an encoder opens: many are built in whose chip is not there."""
    with suppress(av.FFmpegError):
        context = av.CodecContext.create(codec, "w")
        _set_up(context, options, size, fps)
        context.open()
        return True
    return False


def _set_up(context: Any, options: dict[str, str], size: tuple[int, int], fps: float) -> None:
    rate = Fraction(fps).limit_denominator(1001)
    context.height, context.width = (-(-side // 2) * 2 for side in size)
    context.pix_fmt = "yuv420p"
    context.framerate, context.time_base = rate, Fraction(1, TICKS)
    context.gop_size = max(1, round(SECONDS * fps))
    context.max_b_frames = 0
    context.options = options
    context.thread_count = 1  # the other cores are the detector's


class _AvEncoder:
    """H.264; the file is a row of fragments of which each is whole, so it grows as it is written.

    Sides are made even.
    """

    def __init__(self, av: Any, path: Path, codec: str, size: tuple[int, int], fps: float) -> None:
        self._av = av
        options = {"movflags": FRAGMENTS} if path.suffix.lower() == ".mp4" else {}
        try:
            self._file = av.open(str(path), "w", options={**options, "flush_packets": "1"})
            self._stream = self._file.add_stream(codec, rate=Fraction(fps).limit_denominator(1001))
            _set_up(self._stream.codec_context, H264[codec], size, fps)
            self._file.start_encoding()
        except (OSError, av.FFmpegError) as error:
            with suppress(OSError):
                if not path.stat().st_size:  # begun, and no room even for its head
                    path.unlink()
            raise EdgeError(f"Cannot write {path}: {error.strerror}.") from None
        self._odd = [(0, side % 2) for side in size]
        self._ticks, self._key = -1, 0.0

    def write(self, image: Image, moment: float) -> None:
        if any(more for _, more in self._odd):
            image = np.pad(image, (*self._odd, (0, 0)), "edge")
        frame = self._av.VideoFrame.from_ndarray(image, format="bgr24")
        self._ticks = max(round(moment * TICKS), self._ticks + 1)
        frame.pts, frame.time_base = self._ticks, Fraction(1, TICKS)
        if moment - self._key >= SECONDS:  # the camera may be slower than it says
            frame.pict_type = self._av.video.frame.PictureType.I
            self._key = moment
        self._file.mux(self._stream.encode(frame))

    def close(self) -> None:
        try:
            if self._ticks >= 0:
                self._file.mux(self._stream.encode())
        finally:
            self._file.close()


class OpenCvEncoder:
    """What every build of OpenCV can write: MPEG-4 in .mp4 and .mkv, Motion JPEG in .avi.

    Its rate is fixed: pictures are repeated or left out, so that each comes at its moment.
    """

    def __init__(self, path: Path, size: tuple[int, int], fps: float) -> None:
        self._cv2 = opencv("Writing video")
        self._path, self._fps = path, fps
        code = self._cv2.VideoWriter.fourcc(*CODECS[path.suffix.lower()])
        self._writer = self._cv2.VideoWriter(str(path), code, fps, size[::-1])
        if not self._writer.isOpened():
            raise EdgeError(f"OpenCV cannot write video to {path.name}: try another format.")
        self._last: Image | None = None
        self._written = self._left_out = 0

    def write(self, image: Image, moment: float) -> None:
        """See `Encoder`."""
        missing = round(moment * self._fps) - self._left_out - self._written
        if missing < -1:  # one too early is the clock's jitter
            return
        fill = max(0, min(missing, round(FILL * self._fps)))
        self._left_out += max(0, missing - fill)
        for picture in (*[self._last] * fill, image):
            self._writer.write(picture)
        self._written += fill + 1
        self._last = image

    def close(self) -> None:
        """See `Encoder`; raises an EdgeError if not all of it is in the file."""
        self._writer.release()
        capture = self._cv2.VideoCapture(str(self._path))
        held = int(capture.get(self._cv2.CAP_PROP_FRAME_COUNT))
        capture.release()
        if held < self._written:  # OpenCV says nothing of a disk that is full
            raise EdgeError(
                f"{self._path.name} holds {held} of {self._written} pictures: the disk may be full."
            )
