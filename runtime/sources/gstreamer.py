"""GStreamer pipelines, run by gst-launch-1.0 in a process of its own.

Whatever a driver does there, this process lives on. Frames come through a pipe, as raw BGR;
their size is what gst-launch says of the last pad.
"""

from __future__ import annotations

import os
import re
import select
import shlex
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from time import monotonic

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import EdgeError
from edge_sdk.runtime.sources.decoders import JETSON, has_element
from edge_sdk.runtime.sources.frame_memory import FrameMemory
from edge_sdk.runtime.sources.source import Source
from edge_sdk.runtime.sources.uri import redacted

TIMEOUT = 5.0
"""Seconds without a frame after which a pipeline counts as stalled."""

GRACE = 0.5
"""Seconds that gst-launch has to end by itself before it is killed."""

_TAIL = "! videoconvert ! video/x-raw,format=BGR ! fdsink name=edge_sdk sync=false fd="
_CAPS = re.compile(r"edge_sdk\.GstPad:sink: caps = (.*)")
_SIZE = re.compile(r"(width|height)=\(int\)(\d+)")
_RATE = re.compile(r"framerate=\(fraction\)(\d+)/(\d+)")


class GStreamerSource(Source):
    """The frames of a pipeline, started when it is read; it ends where the pipeline does.

    Parameters
    ----------
    name : for people, without credentials.
    pipeline : what gst-launch-1.0 takes, up to and without the sink.
    timeout : seconds without a frame after which the pipeline counts as stalled.

    Raises
    ------
    EdgeError
        If gst-launch-1.0 is not installed, or `pipeline` holds no words; while reading, if it
        fails or stalls.
    """

    live = True

    def __init__(self, name: str, pipeline: str, *, timeout: float = TIMEOUT) -> None:
        super().__init__(name, 30.0)
        self._launch = program("gst-launch-1.0")
        self._timeout = timeout
        self._run: _Run | None = None
        try:
            self._words = shlex.split(pipeline)
        except ValueError as error:
            raise EdgeError(f"{name} is not a pipeline: {error}.") from None
        if not self._words:
            raise EdgeError(f"{name} names no element: write 'gst://v4l2src ! ...'.")

    def _images(self) -> Iterator[npt.NDArray[np.uint8]]:
        self._run = run = _Run(self._launch, self._words)
        given = False
        try:
            height, width, fps = run.format(self._timeout)
            self.fps = fps or self.fps
            stride = -(-3 * width // 4) * 4  # GStreamer's rows of BGR begin at multiples of four
            memory = FrameMemory()
            while run.wait(self._timeout):
                image = memory.take((height, stride))
                if not run.fill(image, self._timeout):
                    break
                given = True
                yield image[:, : 3 * width].reshape(height, width, 3)
        except TimeoutError:
            raise EdgeError(f"{self.name} is lost: no frame for {self._timeout:g} s.") from None
        finally:
            run.end()
        if run.trouble or not (given or run.stopped):
            trouble = run.trouble or "it ended before its first frame"
            raise EdgeError(f"{self.name} fails: {trouble}.")

    def close(self) -> None:
        """End the pipeline."""
        if self._run is not None:
            self._run.stop()


class _Run:
    """One run of gst-launch, from its start until it is gone."""

    def __init__(self, launch: str, words: list[str]) -> None:
        self._pipe, theirs = os.pipe()
        _enlarge(self._pipe)
        self._process = subprocess.Popen(
            [launch, "-v", *words, *shlex.split(f"{_TAIL}{theirs}")],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            pass_fds=(theirs,), text=True, errors="replace", start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self.trouble = ""
        self._caps = ""
        self._told = threading.Event()
        self.stopped = False
        self._listener = threading.Thread(target=self._listen, name="gst-launch", daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        """Follow what gst-launch prints: the format, and what goes wrong."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if found := _CAPS.search(line):
                self._caps = found[1]
                self._told.set()
            elif not self.trouble and ("ERROR" in line or "WARNING: erroneous" in line):
                self.trouble = redacted(line.strip().rpartition(": ")[2].rstrip("."))
        self._told.set()

    def format(self, timeout: float) -> tuple[int, int, float]:
        """Return height, width and frames a second (0: unknown) once they are known."""
        if not self._told.wait(timeout):
            raise TimeoutError
        size = {name: int(value) for name, value in _SIZE.findall(self._caps)}
        if not size:  # it failed, and the pipe will say that it has ended
            return 1, 1, 0.0
        rate = _RATE.search(self._caps)
        fps = int(rate[1]) / int(rate[2]) if rate else 0.0
        return size["height"], size["width"], fps if 0 < fps <= 1000 else 0.0

    def wait(self, timeout: float) -> bool:
        """Wait for more bytes, or the end; False once the run was stopped."""
        if not select.select([self._pipe], [], [], timeout)[0]:
            raise TimeoutError
        return not self.stopped

    def fill(self, image: npt.NDArray[np.uint8], timeout: float) -> bool:
        """Read one frame; False if the pipeline has ended."""
        room = image.data.cast("B")
        while room:
            if not self.wait(timeout):
                return False
            got = os.readv(self._pipe, [room])
            if not got:
                return False
            room = room[got:]
        return True

    def stop(self) -> None:
        """Ask the process to end."""
        self.stopped = True
        self._terminate()

    def _terminate(self) -> None:
        with suppress(ProcessLookupError):
            self._process.terminate()

    def end(self) -> None:
        """Make sure that the process is gone, and what was opened for it is closed."""
        os.close(self._pipe)
        deadline = monotonic() + GRACE
        if not self.stopped:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE / 2)  # one that has ended tells how
        self._terminate()
        try:
            self._process.wait(max(0.0, deadline - monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join(GRACE)
        if not self._listener.is_alive() and self._process.stdout is not None:
            self._process.stdout.close()


def rtsp_pipeline(url: str, transport: str | None = None, latency: float | None = None) -> str:
    """Return the pipeline of a network camera; GStreamer chooses the decoder, a chip's if it can.

    `transport` is "tcp" or "udp", `latency` the milliseconds to wait for packets out of order.
    """
    location = url.replace('"', "%22")
    pipeline = (
        f"rtspsrc 'location=\"{location}\"' protocols={transport or 'tcp'} "
        f"latency={round(latency or 100)} drop-on-latency=true "
        "! application/x-rtp,media=video ! decodebin"
    )
    # A Jetson's pictures stay in the video engine's memory until they have been converted.
    convert = "! nvvidconv ! video/x-raw,format=BGRx" if has_element(JETSON) else ""
    return f"{pipeline} {convert}"


def program(name: str) -> str:
    """Return the path of one of GStreamer's programs.

    Raises
    ------
    EdgeError
        If it is not installed.
    """
    path = shutil.which(name)
    if path is None:
        raise EdgeError(
            f"gst:// and csi:// need the program {name}, which is not installed: "
            "on Debian, Ubuntu and a Jetson, apt-get install gstreamer1.0-tools."
        )
    return path


def _enlarge(pipe: int) -> None:
    """Give a pipe a megabyte, so that a frame takes a few reads and not fifty."""
    with suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1 << 20)
