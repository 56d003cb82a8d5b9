"""Network cameras (RTSP, MJPEG over HTTP, HLS), through PyAV."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import EdgeError, MissingExtra
from edge_sdk.runtime.sources.decoders import (
    GSTREAMER,
    StreamDecoder,
    accelerator,
    choose,
    picture,
)
from edge_sdk.runtime.sources.packets import PacketReader
from edge_sdk.runtime.sources.source import Source

TIMEOUT = 5.0
"""Seconds without a frame after which a camera counts as lost."""

PROBE = 1_000_000
"""Microseconds of a stream to look at before its first frame, at most."""

BEHIND = 1.0
"""Seconds that a paced stream may be late before its clock is set anew."""


class NetworkSource(Source):
    """A camera behind a URL, connected when it is read.

    What the decoder had to make up is never given away: after a lost or damaged packet nothing
    comes until the next key frame. A recording (its length is known) ends; a camera that stops
    sending is lost. Streams that come in bursts (HLS) are played at their own pace.

    Parameters
    ----------
    name : for people, without credentials.
    url : with them.
    transport : "tcp" or "udp", of RTSP.
    latency : milliseconds to wait for packets out of order, of RTSP over UDP.
    timeout : seconds without data after which the camera counts as lost.
    decoder : see `edge_sdk.runtime.sources.decoders`; "auto" takes the best that is here.

    Raises
    ------
    MissingExtra
        If PyAV is not installed.
    EdgeError
        While reading, if the camera cannot be reached, refuses, or is lost.
    """

    live = True

    def __init__(
        self, name: str, url: str, *, transport: str = "tcp", latency: float | None = None,
        timeout: float = TIMEOUT, decoder: str = "auto",
    ) -> None:  # fmt: skip
        super().__init__(name, 30.0)
        self._av = _pyav()
        self._url = url
        self._timeout = timeout
        self._wanted, self._chip = decoder, ""
        self._closed = threading.Event()
        self._reader: PacketReader | None = None
        self._options = {"analyzeduration": str(PROBE)}
        if url.startswith("rtsp"):
            self._options["rtsp_transport"] = transport
            if latency is not None:
                self._options["max_delay"] = str(round(latency * 1000))

    def _images(self) -> Iterator[npt.NDArray[np.uint8]]:
        self._chip = self._chip or choose(self._wanted, self.name, GSTREAMER)
        reader = self._reader = PacketReader(self._connect, skips=self.skips, timeout=self._timeout)
        try:
            if not reader.open():
                return
            decode = self._decoder(reader.stream)
            container, frame = reader.container, None
            frames = self._frames(reader, decode)
            if reader.paced:
                frames = self._paced(frames)
            for frame in frames:
                self._chip = decode.chip  # one that failed is not tried again
                self.waited = 0.0 if reader.paced else perf_counter() - reader.arrived
                yield picture(frame)
            if (frame is None or container.duration is None) and not self._closed.is_set():
                raise EdgeError(f"{self.name} has stopped sending.")
        finally:
            self.skipped += reader.skipped
            reader.close()

    def _connect(self) -> Any:
        # Raised outside the handlers: the library's own errors hold the URL with its password.
        reason = ""
        try:
            return self._av.open(
                self._url, options=self._options, timeout=self._timeout,
                hwaccel=accelerator(self._chip),
            )  # fmt: skip
        except (self._av.FFmpegError, ValueError) as error:
            reason = self._reason(error)
            no_answer = getattr(error, "errno", None) == errno.EIO  # of a name, among others
            if no_answer and _is_unknown(self._url):
                reason = "its host cannot be found, so look at the name and at the network"
        raise EdgeError(f"{self.name} cannot be opened: {reason}.")

    def _reason(self, error: Exception) -> str:
        # Where a wait is cut short, FFmpeg's RTSP says EPERM.
        silence = isinstance(error, (self._av.ExitError, TimeoutError))
        if silence or getattr(error, "errno", None) == errno.EPERM:
            return f"nothing came for {self._timeout:g} s"
        words = getattr(error, "strerror", None) or type(error).__name__
        return str(words[:1].lower() + words[1:])

    def _decoder(self, stream: Any) -> StreamDecoder:
        if stream is None:
            raise EdgeError(f"{self.name} has no video.")
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        self.fps = rate if 0 < rate <= 1000 else 30.0
        return StreamDecoder(stream, self._chip, self.name, {"err_detect": "explode"})

    def _frames(
        self, packets: Iterable[Any], decode: Callable[[Any], list[Any] | None]
    ) -> Iterator[Any]:
        """Yield whole frames only: none before the first key frame, none after damage.

        `decode` returns None for a packet that is damaged.
        """
        whole, reason = False, ""
        try:
            for packet in packets:
                if packet is None:
                    whole = False
                    continue
                frames = decode(packet)
                if frames is None or packet.is_corrupt:
                    self.damaged += 1
                    whole = False
                    continue
                for frame in frames:
                    whole = not frame.is_corrupt and (whole or frame.key_frame)
                    if whole:
                        yield frame
                    else:
                        self.damaged += 1
        except (self._av.FFmpegError, TimeoutError) as error:
            reason = self._reason(error)
        if reason:
            raise EdgeError(f"{self.name} is lost: {reason}.")

    def _paced(self, frames: Iterator[Any]) -> Iterator[Any]:
        """Hold each frame back until its time has come."""
        origin: float | None = None
        for frame in frames:
            if frame.time is not None:
                now = perf_counter()
                if origin is None or now - origin - frame.time > BEHIND:
                    origin = now - frame.time
                if self._closed.wait(max(0.0, origin + frame.time - now)):
                    return
            yield frame

    def close(self) -> None:
        """Hang up."""
        self._closed.set()
        if self._reader is not None:
            self._reader.close()


def _is_unknown(url: str) -> bool:
    """Tell whether there is no address to the name of a URL's host."""
    try:
        socket.getaddrinfo(urlsplit(url).hostname, None)
    except socket.gaierror:
        return True
    except (OSError, ValueError):
        pass
    return False


def _pyav() -> Any:
    try:
        import av
    except ImportError as error:
        raise MissingExtra("av", "camera", "A network camera") from error
    return av
