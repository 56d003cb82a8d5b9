"""A network camera whose every picture tells which it is, and when it was sent.

    python benchmarks/coded_camera.py FPS WIDTH HEIGHT TIMES [LIFE]

Serves MJPEG at http://127.0.0.1:PORT/video (it prints the port); the pictures are frames of the
test camera, encoded beforehand, with their number in black and white squares. TIMES is a file of
float64: when each number was last sent (`time.perf_counter`, which processes share on Linux).
With LIFE it hangs up that many seconds after each connection.

`Sender` runs it in a process of its own; `number` reads the squares.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge_sdk.runtime import open_source

BITS = 6
PICTURES = 1 << BITS
SIDE = 32


def number(image: npt.NDArray[np.uint8]) -> int:
    """Return the number in a picture's upper left corner."""
    bits = [image[SIDE // 2, SIDE * bit + SIDE // 2, 0] > 128 for bit in range(BITS)]
    return sum(bool(on) << bit for bit, on in enumerate(bits))


def pictures(width: int, height: int) -> list[bytes]:
    """Return the encoded pictures."""
    found = []
    for frame in open_source(f"test://street?size={width}x{height}&frames={PICTURES}"):
        image = frame.image.copy()
        for bit in range(BITS):
            on = frame.index >> bit & 1
            image[:SIDE, SIDE * bit : SIDE * (bit + 1)] = 255 * on
        found.append(cv2.imencode(".jpg", image)[1].tobytes())
    return found


class Sender:
    """The camera in a process of its own."""

    def __init__(self, fps: float, size: tuple[int, int], life: float | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory()
        times = Path(self._folder.name) / "times"
        times.write_bytes(bytes(8 * PICTURES))
        self.fps = fps
        self.times = np.memmap(times, np.float64, "r")
        arguments = [fps, *size, times, *([life] if life else [])]
        self._process = subprocess.Popen(
            [sys.executable, __file__, *map(str, arguments)], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}/video"

    def age(self, image: npt.NDArray[np.uint8]) -> float:
        """Return the seconds since a picture was sent."""
        return perf_counter() - float(self.times[number(image)])

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, setting: tuple[Any, ...], *arguments: Any) -> None:
        self.setting = setting
        super().__init__(*arguments)

    def do_GET(self) -> None:
        fps, encoded, times, life = self.setting
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        start, sent = perf_counter(), 0
        with suppress(OSError):
            while life is None or perf_counter() - start < life:
                data = encoded[sent % PICTURES]
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}"
                times[sent % PICTURES] = perf_counter()
                self.wfile.write(f"{head}\r\n\r\n".encode() + data + b"\r\n")
                sent += 1
                sleep(max(0.0, start + sent / fps - perf_counter()))

    def log_message(self, *arguments: Any) -> None:
        pass


def main() -> None:
    fps, width, height, path, *life = sys.argv[1:]
    times = np.memmap(path, np.float64, "r+")
    setting = (
        float(fps), pictures(int(width), int(height)), times, float(life[0]) if life else None,
    )  # fmt: skip
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, setting))
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
