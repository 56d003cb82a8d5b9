"""Detections published to an MQTT broker, one message of JSON a frame, through paho-mqtt."""

from __future__ import annotations

import json
import threading
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from edge_sdk.errors import EdgeError, MissingExtra
from edge_sdk.runtime.log import log
from edge_sdk.runtime.sinks.address import split_url
from edge_sdk.runtime.sinks.record import record
from edge_sdk.runtime.sources.uri import redacted_uri

if TYPE_CHECKING:
    from edge_sdk.runtime.result import Result

WAITING = 256
"""Messages that may wait for the broker; later ones are counted as lost."""

PATIENCE = 0.5
"""Seconds for the broker: at first to answer, at the end to take what still waits."""


class Mqtt:
    """Publishes what `record` tells of a result; paho finds a broker that is lost again.

    Parameters
    ----------
    uri : mqtt://[USER:PASSWORD@]HOST[:PORT]/TOPIC[?qos=0|1|2]; mqtts:// is encrypted.

    Attributes
    ----------
    name : the URI, without credentials.
    sent, lost : results so far.

    Raises
    ------
    MissingExtra
        If paho-mqtt is not installed.
    EdgeError
        If the URI names no host or topic.
    """

    def __init__(self, uri: str) -> None:
        parts = split_url(uri)
        self.name = redacted_uri(uri)
        self._topic = parts.path.strip("/")
        qos = parse_qs(parts.query).get("qos", ["0"])[-1]
        if not parts.hostname or not self._topic or qos not in ("0", "1", "2"):
            raise EdgeError(f"{self.name}: write mqtt://HOST:PORT/TOPIC?qos=0, 1 or 2.")
        self._qos = int(qos)
        self.sent = self.lost = self._given = 0
        self._connected = threading.Event()
        self._answered = threading.Event()
        self._trouble = ""
        paho = _paho()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self._client.reconnect_delay_set(1, 30)
        if parts.username is not None:
            self._client.username_pw_set(unquote(parts.username), unquote(parts.password or ""))
        if parts.scheme == "mqtts":
            self._client.tls_set()
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = lambda *about: self._complain("the broker is not there")
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.connect_async(
            parts.hostname, parts.port or (8883 if parts.scheme == "mqtts" else 1883)
        )
        self._client.loop_start()
        self._answered.wait(PATIENCE)  # else the first results would find no broker

    @property
    def complaint(self) -> str | None:
        """What went wrong, for the summary of a stream."""
        if not self.lost:
            return None
        reason = self._trouble or "the broker is too slow"
        return f"{self.name} lost {self.lost} of {self.lost + self.sent} results: {reason}"

    def __call__(self, result: Result) -> None:
        """Give a result to paho; returns at once."""
        # Without a broker, paho forgets messages of quality 0; with a slow one, it keeps all.
        forgotten = self._qos == 0 and not self._connected.is_set()
        if forgotten or self._given - self.sent >= WAITING:
            self.lost += 1
            return
        self._given += 1
        self._client.publish(self._topic, json.dumps(record(result)), self._qos)

    def _on_publish(self, *about: Any) -> None:
        self.sent += 1

    def _on_connect(self, client: Any, data: Any, flags: Any, reason: Any, more: Any) -> None:
        if reason.is_failure:
            self._complain(f"the broker refuses: {reason}")
        else:
            self._trouble = ""
            self._connected.set()
            self._answered.set()

    def _on_disconnect(self, client: Any, data: Any, flags: Any, reason: Any, more: Any) -> None:
        self._connected.clear()
        if reason.is_failure:
            self._complain(f"the broker is lost: {reason}")

    def _complain(self, reason: str) -> None:
        self._answered.set()
        if reason != self._trouble:
            log.warning("%s: %s", self.name, reason)
        self._trouble = reason

    def close(self) -> None:
        """Send what still waits, if that is soon done, and hang up."""
        deadline = perf_counter() + PATIENCE
        while self._given > self.sent and self._connected.is_set() and perf_counter() < deadline:
            sleep(0.005)
        self.lost += self._given - self.sent
        self._client.disconnect()
        ending = threading.Thread(target=self._client.loop_stop, name="mqtt", daemon=True)
        ending.start()
        ending.join(max(0.0, deadline - perf_counter()))


def _paho() -> Any:
    try:
        from paho.mqtt import client
    except ImportError as error:
        raise MissingExtra("paho-mqtt", "mqtt", "An MQTT sink") from error
    return client
