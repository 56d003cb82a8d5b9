"""Network cameras on loopback that obey a test: RTSP by GStreamer, MJPEG and HLS over HTTP."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SYSTEM_PYTHON = "/usr/bin/python3"
RTSP_PACKAGES = (
    "gir1.2-gst-rtsp-server-1.0 python3-gst-1.0 gstreamer1.0-plugins-base "
    "gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly"
)


def needs_program(name: str, package: str) -> None:
    """Skip the test where a program is missing, and say which Debian package brings it."""
    if shutil.which(name) is None:
        pytest.skip(f"needs {name}: apt-get install {package}")


class RtspCamera:
    """The server of rtsp_server.py, and a hand on its standard input."""

    def __init__(self, size: tuple[int, int] = (320, 240), fps: int = 25, *login: str) -> None:
        server = Path(__file__).with_name("rtsp_server.py")
        self._process = subprocess.Popen(
            [SYSTEM_PYTHON, str(server), *map(str, size), str(fps), *login],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        port = self._process.stdout.readline().strip()
        if not port:
            pytest.skip(f"needs an RTSP server: apt-get install {RTSP_PACKAGES}")
        self.place = f"127.0.0.1:{port}/camera"
        self.uri = f"rtsp://{':'.join(login)}{'@' * bool(login)}{self.place}"

    def order(self, word: str) -> None:
        """Send a word, and wait until it was obeyed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(word, file=self._process.stdin, flush=True)
        assert self._process.stdout.readline().strip() == word

    def close(self) -> None:
        """End the server."""
        self._process.kill()
        self._process.communicate()


class MjpegCamera:
    """Serves numbered grey pictures as multipart JPEG at http://127.0.0.1:PORT/video.

    Attributes
    ----------
    brightness : of the next pictures; None counts up, so that no picture is the last one.
    stalled : send nothing more.
    cut : send half a picture and hang up, once.
    half : send half a picture as if it were a whole one, once.
    paths : what clients asked for.
    """

    def __init__(self, fps: float = 50, size: tuple[int, int] = (96, 64)) -> None:
        self.fps, self.size = fps, size
        self.brightness: int | None = None
        self.stalled = self.cut = self.half = False
        self.paths: list[str] = []
        self.sent = 0
        self._generation = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_MjpegHandler, self))
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.uri = f"http://127.0.0.1:{self.port}/video"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def drop(self) -> None:
        """Hang up on everybody; who calls again is served."""
        self._generation += 1

    def pictures(self) -> Iterator[bytes]:
        """Yield pictures for one client, until it is dropped."""
        import cv2

        generation = self._generation
        while generation == self._generation:
            if not self.stalled:
                level = self.sent * 8 % 200 + 40 if self.brightness is None else self.brightness
                self.sent += 1
                picture = np.full((*self.size[::-1], 3), level, np.uint8)
                yield cv2.imencode(".jpg", picture)[1].tobytes()
            time.sleep(1 / self.fps)

    def close(self) -> None:
        """Hang up and listen no more."""
        self.drop()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _MjpegHandler(BaseHTTPRequestHandler):
    def __init__(self, camera: MjpegCamera, *args: Any) -> None:
        self.camera = camera
        super().__init__(*args)

    def do_GET(self) -> None:
        self.camera.paths.append(self.path)
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        with suppress(OSError):
            for picture in self.camera.pictures():
                head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
                if self.camera.half:
                    self.camera.half = False
                    picture = picture[: len(picture) - 20]
                if self.camera.cut:
                    self.camera.cut = False
                    self.wfile.write(head % len(picture) + picture[: len(picture) // 2])
                    return
                self.wfile.write(head % len(picture) + picture + b"\r\n")

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def serve_folder(folder: Path) -> Iterator[str]:
    """Serve files over HTTP; gives http://127.0.0.1:PORT."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
