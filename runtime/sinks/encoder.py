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

_HYBRID = (61, 5)
"""The libavformat that can end a file of fragments as a plain one (FFmpeg 7.1)."""


class Encoder(Protocol):
    """A video file that is being written."""

    def write(self, image: Image) -> None:
        """Append a picture, BGR uint8 [H, W, 3] of the size of the video."""

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
    context.framerate, context.time_base = rate, 1 / rate
    context.gop_size = max(1, round(SECONDS * fps))
    context.max_b_frames = 0
    context.options = options
    context.thread_count = 1  # the other cores are the detector's


class _AvEncoder:
    """H.264; the file is a row of fragments of which each is whole, so it grows as it is written.

    Closed, it becomes a plain file where FFmpeg can do that. Sides are made even.
    """

    def __init__(self, av: Any, path: Path, codec: str, size: tuple[int, int], fps: float) -> None:
        self._av = av
        flags = "frag_keyframe+empty_moov+default_base_moof"
        if av.library_versions["libavformat"] >= _HYBRID:
            flags = "hybrid_fragmented"
        options = {"movflags": flags} if path.suffix.lower() == ".mp4" else {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = av.open(str(path), "w", options={**options, "flush_packets": "1"})
        except (OSError, av.FFmpegError) as error:
            raise EdgeError(f"Cannot write {path}: {error.strerror}.") from None
        self._stream = self._file.add_stream(codec, rate=Fraction(fps).limit_denominator(1001))
        _set_up(self._stream.codec_context, H264[codec], size, fps)
        self._odd = [(0, side % 2) for side in size]
        self._written = 0

    def write(self, image: Image) -> None:
        if any(more for _, more in self._odd):
            image = np.pad(image, (*self._odd, (0, 0)), "edge")
        frame = self._av.VideoFrame.from_ndarray(image, format="bgr24")
        frame.pts, frame.time_base = self._written, self._stream.codec_context.time_base
        self._written += 1
        self._file.mux(self._stream.encode(frame))

    def close(self) -> None:
        if self._written:
            self._file.mux(self._stream.encode())
        self._file.close()


class OpenCvEncoder:
    """What every build of OpenCV can write: MPEG-4 in .mp4 and .mkv, Motion JPEG in .avi."""

    def __init__(self, path: Path, size: tuple[int, int], fps: float) -> None:
        cv2 = opencv("Writing video")
        code = cv2.VideoWriter.fourcc(*CODECS[path.suffix.lower()])
        self._writer = cv2.VideoWriter(str(path), code, fps, size[::-1])
        if not self._writer.isOpened():
            raise EdgeError(f"OpenCV cannot write video to {path.name}: try another format.")

    def write(self, image: Image) -> None:
        """See `Encoder`."""
        self._writer.write(image)

    def close(self) -> None:
        """See `Encoder`."""
        self._writer.release()
