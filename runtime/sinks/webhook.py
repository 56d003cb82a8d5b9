"""Detections sent to a web server, one POST of JSON a frame."""

from __future__ import annotations

import base64
import http.client
import json
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import unquote

from edge_sdk.errors import EdgeError
from edge_sdk.runtime.backoff import Backoff
from edge_sdk.runtime.log import log
from edge_sdk.runtime.sinks.address import split_url
from edge_sdk.runtime.sinks.record import record
from edge_sdk.runtime.sources.uri import redacted_uri

if TYPE_CHECKING:
    from edge_sdk.runtime.result import Result

WAITING = 256
"""Results that may wait for the server; the oldest give way to new ones, and are counted."""

TIMEOUT = 5.0
"""Seconds for the server to answer."""

PATIENCE = 0.5
"""Seconds, at the end, for what still waits."""

_AGAIN = (408, 425, 429)
"""Refusals that are worth another try, beside all from 500 on."""


class Webhook:
    """Posts what `record` tells of a result, in a thread of its own.

    A server that cannot be reached, or has troubles of its own, is tried again and again, ever
    more rarely; meanwhile results wait, a bounded number of them. What the server refuses is
    counted as lost.

    Attributes
    ----------
    name : the URL, without credentials.
    sent, lost : results so far.
    """

    def __init__(self, url: str) -> None:
        parts = split_url(url)
        self.name = redacted_uri(url)
        if not parts.hostname:
            raise EdgeError(f"{self.name} names no host.")
        self.sent = self.lost = 0
        self._trouble = self._reason = ""  # at present; of the last result that was lost
        self._secure = parts.scheme == "https"
        self._place = parts.hostname, parts.port
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = {"Content-Type": "application/json"}
        if parts.username is not None:
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
            self._headers["Authorization"] = f"Basic {base64.b64encode(login).decode()}"
        self._connection: http.client.HTTPConnection | None = None
        self._waiting: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="webhook", daemon=True)
        self._thread.start()

    @property
    def complaint(self) -> str | None:
        """What went wrong, for the summary of a stream."""
        if not self.lost:
            return None
        return f"{self.name} lost {self.lost} of {self.lost + self.sent} results: {self._reason}"

    def __call__(self, result: Result) -> None:
        """Let a result wait for the server; returns at once."""
        body = json.dumps(record(result)).encode()
        with self._changed:
            if len(self._waiting) == WAITING:
                self._waiting.popleft()
                self._lose(self._trouble or "the server is too slow")
            self._waiting.append(body)
            self._changed.notify()

    def _work(self) -> None:
        backoff = Backoff()
        while (body := self._next()) is not None:
            if self._post(body):
                backoff.reset()
            else:
                with self._changed:
                    if len(self._waiting) < WAITING:
                        self._waiting.appendleft(body)
                    else:
                        self._lose(self._trouble)
                if self._closed.wait(backoff.next()):
                    return

    def _next(self) -> bytes | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed.is_set())
            return self._waiting.popleft() if self._waiting else None

    def _post(self, body: bytes) -> bool:
        """Return whether that is done with: taken by the server, or refused for good."""
        try:
            if self._connection is None:
                kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
                self._connection = kind(*self._place, timeout=TIMEOUT)
            self._connection.request("POST", self._path, body, self._headers)
            answer = self._connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._hang_up()
            self._complain(getattr(error, "strerror", None) or type(error).__name__)
            return False
        if answer.status < 300:
            self.sent += 1
            self._trouble = ""
            return True
        self._complain(f"the server answers {answer.status} {answer.reason}")
        if answer.status >= 500 or answer.status in _AGAIN:
            return False
        with self._changed:
            self._lose(self._trouble)
        return True

    def _complain(self, reason: str) -> None:
        if reason != self._trouble:
            log.warning("%s: %s", self.name, reason)
        self._trouble = reason

    def _lose(self, reason: str) -> None:
        self.lost += 1
        self._reason = reason

    def _hang_up(self) -> None:
        if self._connection is not None:
            with suppress(OSError):
                self._connection.close()
        self._connection = None

    def close(self) -> None:
        """Send what still waits, if that is soon done; the rest is lost."""
        self._closed.set()
        with self._changed:
            self._changed.notify()
        self._thread.join(PATIENCE)
        with self._changed:
            left = len(self._waiting)
            self._waiting.clear()
        if left:
            self.lost += left
            self._reason = self._trouble or "the stream ended"
        if not self._thread.is_alive():
            self._hang_up()
