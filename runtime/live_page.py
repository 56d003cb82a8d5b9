"""A page to look at a stream from a browser: pictures, rates, latencies, drops, health.

/           the page
/picture?camera=0&shown=7   the newest annotated picture of a camera, as JPEG; its number is in the
            header X-Frame, and while that is 7 the answer is empty (204)
/video?camera=0   all of them, as MJPEG, for other players
/status     what the page shows, as JSON
/metrics    the same for Prometheus

The page asks for one picture after the other: of streams that do not end, a browser takes six
from one server, and then it could ask for nothing else.

Only this machine may look, unless told otherwise; from elsewhere a token is needed. Pictures
are drawn and encoded only while somebody looks, and in the server's threads.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from edge_sdk.errors import EdgeError
from edge_sdk.opencv import opencv
from edge_sdk.runtime.exposition import CONTENT_TYPE, exposition
from edge_sdk.runtime.machine import clocks, temperatures

if TYPE_CHECKING:
    from edge_sdk.runtime.pipeline import Pipeline
    from edge_sdk.runtime.result import Result

TOKEN = "EDGE_SDK_TOKEN"
"""The environment variable with the token that viewers from elsewhere need."""

EVERY = 1.0
"""Seconds that rates and percentiles are of."""

VIEWERS = 8
"""Pictures that may be on their way at a time, videos among them."""

FPS = 15
"""Pictures a second that a viewer gets at most."""

QUALITY = 80
"""Of the JPEG pictures, 0..100."""


class LivePage:
    """A sink that shows its stream over HTTP.

    Parameters
    ----------
    address : HOST:PORT to listen at; port 0 takes a free one.
    pipeline : the stream.

    Attributes
    ----------
    url : where to look, without the token.

    Raises
    ------
    EdgeError
        If the address is malformed or taken, or others may look and there is no token.
    """

    def __init__(self, address: str, pipeline: Pipeline) -> None:
        host, port = _parse(address)
        self.name = "live page"
        self._pipeline = pipeline
        self._cv2 = opencv("The live page")
        self.token = os.environ.get(TOKEN, "")
        self.local = _is_loopback(host)
        if not self.local and len(self.token) < 16:
            raise EdgeError(
                f"--serve {address} lets others look: set the environment variable {TOKEN} to a "
                "secret of 16 characters or more, or serve at 127.0.0.1."
            )
        self._latest: dict[int, Result] = {}
        self._numbers = {id(camera.source): camera.number for camera in pipeline.cameras}
        self._changed = threading.Condition()
        self._viewers = threading.BoundedSemaphore(VIEWERS)
        self._closed = False
        self._mark, self._counts = pipeline.mark(), self._count()
        self._since = perf_counter()
        self._status: dict[str, Any] = {"cameras": [], "seconds": 0}
        try:
            self._server = ThreadingHTTPServer((host, port), partial(_Handler, self))
        except OSError as error:
            raise EdgeError(f"Cannot serve at {address}: {error.strerror}.") from error
        self._server.daemon_threads = True
        self.url = f"http://{host}:{self._server.server_address[1]}/"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="live page", daemon=True
        )
        self._thread.start()
        pipeline.observe(self.tick)

    def __call__(self, result: Result) -> None:
        """Remember a result for those who look."""
        with self._changed:
            self._latest[self._numbers[id(result.frame.source)]] = result
            self._changed.notify_all()

    def tick(self) -> None:
        """Take the figures of the last second, if it is over."""
        elapsed = perf_counter() - self._since
        if elapsed < EVERY:
            return
        mark, counts = self._pipeline.mark(), self._count()
        summary = self._pipeline.summary(since=self._mark)
        cameras = []
        for (name, about), now, before in zip(
            summary.cameras.items(), counts, self._counts, strict=True
        ):
            count = summary.counts[name]
            cameras.append(
                {
                    "name": name,
                    **about,
                    "captured_fps": round((now[0] - before[0]) / elapsed, 2),
                    "delivered_fps": round((now[1] - before[1]) / elapsed, 2),
                    "captured": count.captured,
                    "delivered": count.delivered,
                    "dropped": {reason: n for reason, n in count.dropped.items() if n},
                }
            )
        values = summary.to_dict()
        self._status = {
            "seconds": values["seconds"],
            "cameras": cameras,
            "stages_ms": values["stages_ms"],
            "failures": values["failures"],
            "temperatures": temperatures(),
            "clocks": clocks(),
        }
        self._mark, self._counts, self._since = mark, counts, perf_counter()

    def _count(self) -> list[tuple[int, int]]:
        counts = self._pipeline.summary().counts.values()
        return [(count.captured, count.delivered) for count in counts]

    def status(self) -> str:
        """Return the figures of the last second as JSON."""
        return json.dumps(self._status)

    def metrics(self) -> str:
        """Return all figures for Prometheus."""
        return exposition(self._pipeline)

    def pictures(self, camera: int) -> Iterator[bytes]:
        """Yield JPEG files of a camera for one viewer, the newest each time."""
        shown = None
        while (shown := self._newer(camera, shown)) is not None:
            yield self._encoded(shown)
            sleep(1 / FPS)

    def picture(self, camera: int, shown: str) -> tuple[int, bytes] | None:
        """Return the newest picture's number and JPEG file; None while that is the one shown."""
        latest = self._latest.get(camera)
        if latest is None or str(latest.frame.index) == shown:
            return None
        return latest.frame.index, self._encoded(latest)

    def _encoded(self, result: Result) -> bytes:
        settings = [self._cv2.IMWRITE_JPEG_QUALITY, QUALITY]
        data: bytes = self._cv2.imencode(".jpg", result.annotated, settings)[1].tobytes()
        return data

    def _newer(self, camera: int, shown: Result | None) -> Result | None:
        """Wait for another result of a camera; None once the page is closed."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or self._latest.get(camera, shown) is not shown
            )
            return None if self._closed else self._latest[camera]

    def enter(self) -> bool:
        """Let one more viewer of video in, if there is room."""
        return self._viewers.acquire(blocking=False)

    def leave(self) -> None:
        """A viewer has gone."""
        self._viewers.release()

    def close(self) -> None:
        """Listen no more, and let viewers go; a second time does nothing."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"
    timeout = 10

    def __init__(self, page: LivePage, *arguments: Any) -> None:
        self._page = page
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """Answer."""
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        if not self._may_look(query):
            self._send(403, "text/plain", "A token is needed: /?token=...\n")
        elif url.path == "/":
            page = files("edge_sdk.runtime").joinpath("live_page.html").read_text("utf-8")
            self._send(200, "text/html; charset=utf-8", page)
        elif url.path == "/status":
            self._send(200, "application/json", self._page.status())
        elif url.path == "/metrics":
            self._send(200, CONTENT_TYPE, self._page.metrics())
        elif url.path in ("/picture", "/video"):
            self._show(url.path, query)
        else:
            self._send(404, "text/plain", "There is nothing here.\n")

    def _may_look(self, query: dict[str, list[str]]) -> bool:
        """Tell whether a viewer comes from this machine's own pages, or has the token."""
        page = self._page
        if page.local:
            # A page elsewhere may name this machine as its own; its name gives it away.
            host = urlsplit(f"//{self.headers.get('Host', '')}").hostname or ""
            return _is_loopback(host)
        given = query.get("token", [""])[0]
        given = given or self.headers.get("Authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(given.encode(), page.token.encode())

    def _show(self, path: str, query: dict[str, list[str]]) -> None:
        """Send a picture, or video, to one more viewer, if there is room."""
        camera, shown = query.get("camera", ["0"])[0], query.get("shown", [""])[0]
        if not camera.isdecimal() or len(camera) > 4:
            self._send(404, "text/plain", "camera is a number.\n")
            return
        if not self._page.enter():
            self._send(503, "text/plain", "Too many viewers.\n")
            return
        try:
            if path == "/video":
                self._video(int(camera))
            else:
                self._picture(int(camera), shown)
        except OSError:
            pass  # the viewer has gone
        finally:
            self._page.leave()

    def _picture(self, camera: int, shown: str) -> None:
        found = self._page.picture(camera, shown)
        self.send_response(204 if found is None else 200)
        self.send_header("Cache-Control", "no-store")
        if found is None:
            self.end_headers()
            return
        number, data = found
        self.send_header("Content-Type", "image/jpeg")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-Frame", str(number))
        self.end_headers()
        self.wfile.write(data)

    def _video(self, camera: int) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        for picture in self._page.pictures(camera):
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}"
            self.wfile.write(f"{head}\r\n\r\n".encode() + picture + b"\r\n")

    def _send(self, status: int, kind: str, text: str) -> None:
        body = text.encode()
        with suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing: requests may hold the token."""


def _parse(address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise EdgeError(f"{address!r} is no address: write HOST:PORT, such as 127.0.0.1:8080.")
    return host.strip("[]"), int(port)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
