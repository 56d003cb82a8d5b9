"""Sinks that lead out of the process: webhook, MQTT broker, shared memory."""

from __future__ import annotations

import json
import logging
import multiprocessing
import shutil
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scripted import Scripted

from edge_sdk.detections import Detections
from edge_sdk.errors import EdgeError, MissingExtra
from edge_sdk.runtime import Detector, Frame, Result, StageTimes, open_sink, stream
from edge_sdk.runtime.sinks import mqtt as mqtt_module
from edge_sdk.runtime.sinks import webhook as webhook_module
from edge_sdk.runtime.sinks.shared_ring import SLOTS, RingReader, SharedRing, ring_path

WORD = "hunter2"


def result(index: int, image: Any = None, boxes: int = 1) -> Result:
    image = np.full((48, 64, 3), index, np.uint8) if image is None else image
    found = Detections(
        np.full((boxes, 4), 7, np.float32), np.linspace(0.9, 0.5, boxes, dtype=np.float32),
        np.zeros(boxes, np.int32), ("car",),
    )  # fmt: skip
    return Result(Frame(image, index, index / 10, Scripted()), found, StageTimes(0, 0, 0), 0.01)


def wait_for(condition: Any, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Listener:
    """A web server that takes results, or refuses them with the statuses it is told."""

    def __init__(self, port: int = 0) -> None:
        self.taken: list[int] = []
        self.statuses: list[int] = []
        self.logins: set[str | None] = set()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), partial(_Post, self))
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Post(BaseHTTPRequestHandler):
    def __init__(self, listener: Listener, *args: Any) -> None:
        self.listener = listener
        super().__init__(*args)

    def do_POST(self) -> None:
        values = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.listener.logins.add(self.headers["Authorization"])
        status = self.listener.statuses.pop(0) if self.listener.statuses else 200
        if status == 200:
            self.listener.taken.append(values["index"])
        self.send_response(status)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    class Quick:
        def next(self) -> float:
            return 0.01

        def reset(self) -> None:
            pass

    monkeypatch.setattr(webhook_module, "Backoff", Quick)


@pytest.fixture
def listener() -> Iterator[Listener]:
    with closing(Listener()) as listener:
        yield listener


def test_webhook_posts_every_result_in_order(detector: Detector, listener: Listener) -> None:
    summary = stream(detector, Scripted(20), sinks=[f"http://127.0.0.1:{listener.port}/seen?a=1"])
    assert listener.taken == list(range(20))
    assert listener.logins == {None}
    assert summary.failures == ()


@pytest.mark.usefixtures("quick")
def test_webhook_tries_again_and_gives_up_on_what_is_refused(listener: Listener) -> None:
    listener.statuses = [503, 429, 200, 400]
    with closing(open_sink(f"http://127.0.0.1:{listener.port}/")) as sink:
        for index in range(4):
            sink(result(index))
        wait_for(lambda: len(listener.taken) == 3)
    assert listener.taken == [0, 2, 3]
    assert (sink.sent, sink.lost) == (3, 1)
    assert "lost 1 of 4 results: the server answers 400" in sink.complaint


@pytest.mark.usefixtures("quick")
def test_webhook_keeps_the_newest_while_the_server_is_away(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(webhook_module, "WAITING", 5)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    sink = open_sink(f"http://joe:{WORD}@127.0.0.1:{port}/x?token={WORD}")
    start = time.perf_counter()
    for index in range(50):
        sink(result(index))
    assert time.perf_counter() - start < 1
    time.sleep(0.1)
    with closing(Listener(port)) as listener:
        wait_for(lambda: 49 in listener.taken)
        sink.close()
        assert listener.taken == sorted(listener.taken)
        assert len(listener.taken) <= 6
        assert listener.logins == {"Basic am9lOmh1bnRlcjI="}
    assert sink.sent + sink.lost == 50
    assert WORD not in caplog.text + sink.name + sink.complaint
    assert "refused" in caplog.text


def test_webhook_lets_go_soon_of_a_server_that_hangs() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        sink = open_sink(f"http://127.0.0.1:{deaf.getsockname()[1]}/")
        for index in range(3):
            sink(result(index))
        start = time.perf_counter()
        sink.close()
        assert time.perf_counter() - start < 1
        assert sink.lost >= 2


class Broker:
    """mosquitto, on a port of its own."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        if program is None:
            pytest.skip("needs mosquitto: apt-get install mosquitto")
        if not port:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
        self.port = port
        (folder / "conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
        self._process = subprocess.Popen(
            [program, "-c", str(folder / "conf")], stderr=subprocess.DEVNULL
        )
        wait_for(self._answers)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.mark.parametrize("qos", [0, 1])
def test_mqtt_publishes_every_result(tmp_path: Path, qos: int) -> None:
    client = pytest.importorskip("paho.mqtt.client")
    taken: list[Any] = []
    with closing(Broker(tmp_path)) as broker:
        reader = client.Client(client.CallbackAPIVersion.VERSION2)
        ready = threading.Event()
        reader.on_message = lambda c, d, m: taken.append((m.topic, json.loads(m.payload)["index"]))
        reader.on_subscribe = lambda *_: ready.set()
        reader.connect("127.0.0.1", broker.port)
        reader.subscribe("cameras/#", qos)
        reader.loop_start()
        assert ready.wait(10)
        sink = open_sink(f"mqtt://joe:{WORD}@127.0.0.1:{broker.port}/cameras/seen?qos={qos}")
        for index in range(20):
            sink(result(index))
        sink.close()
        wait_for(lambda: len(taken) == 20)
        reader.loop_stop()
    assert taken == [("cameras/seen", index) for index in range(20)]
    assert (sink.sent, sink.lost, sink.complaint) == (20, 0, None)
    assert WORD not in sink.name


def test_mqtt_broker_that_comes_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("paho.mqtt.client")
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(mqtt_module, "WAITING", 5)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    sink = open_sink(f"mqtt://joe:{WORD}@127.0.0.1:{port}/cameras?qos=1")
    for index in range(8):
        sink(result(index))
    assert sink.lost == 3
    with closing(Broker(tmp_path, port)):
        wait_for(lambda: sink.sent == 5)
        sink.close()
    assert "lost 3 of 8 results" in sink.complaint
    assert WORD not in caplog.text + sink.complaint


def test_mqtt_broker_that_is_away_is_told_once_and_holds_nobody_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pytest.importorskip("paho.mqtt.client")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        sink = open_sink(f"mqtt://127.0.0.1:{probe.getsockname()[1]}/cameras")
        time.sleep(2.5)  # it has been tried again
        sink(result(0))
        start = time.perf_counter()
        sink.close()
        assert time.perf_counter() - start < 0.65
    assert [
        record.getMessage() for record in caplog.records if "broker" in record.getMessage()
    ] == [f"{sink.name}: the broker is not there"]
    assert "lost 1 of 1 results: the broker is not there" in sink.complaint


def test_mqtt_addresses_and_package(monkeypatch: pytest.MonkeyPatch) -> None:
    for uri in ("mqtt://host", "mqtt:///topic", "mqtt://host/topic?qos=3"):
        with pytest.raises(EdgeError, match="write mqtt://HOST:PORT/TOPIC"):
            open_sink(uri)
    monkeypatch.setitem(sys.modules, "paho.mqtt", None)
    with pytest.raises(MissingExtra, match=r"'paho-mqtt'.*edge-sdk\[mqtt\]"):
        open_sink("mqtt://host/topic")


def read_ring(name: str, queue: Any) -> None:
    while True:
        try:
            reader = RingReader(name)
            break
        except EdgeError:
            time.sleep(0.005)
    while (found := reader.next(10)) is not None:
        image, values = found
        queue.put((values["index"], int(image.min()), int(image.max())))
    queue.put(None)


def test_shared_ring_carries_frames_to_another_process() -> None:
    """Pictures of one level each, read while they are overwritten: none is torn."""
    name = f"test-{time.time_ns()}"
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=read_ring, args=(name, queue))
    process.start()
    frames = [result(level, np.full((360, 640, 3), level, np.uint8)) for level in range(200)]
    with closing(SharedRing(name)) as ring:
        ring(frames[0])
        first = queue.get(timeout=60)
        for frame in frames[1:]:
            ring(frame)
            time.sleep(0.001)
        time.sleep(0.1)
    seen = [first, *iter(lambda: queue.get(timeout=10), None)]
    process.join(10)
    assert process.exitcode == 0
    assert all(index == low == high for index, low, high in seen)
    indices = [index for index, _, _ in seen]
    assert indices == sorted(set(indices))
    assert indices[-1] == 199
    assert len(indices) > 20
    assert not ring_path(name).exists()


def test_slow_reader_gets_the_newest() -> None:
    name = f"test-{time.time_ns()}"
    with closing(SharedRing(name)) as ring:
        ring(result(1))
        reader = RingReader(name)
        for index in range(2, 3 * SLOTS):
            ring(result(index))
        found = reader.next(1)
        assert found is not None
        assert found[1]["index"] == found[0].max() == 3 * SLOTS - 1
        assert reader.next(0.02) is None
        ring(result(50, boxes=3000))  # more than a slot has room for
        found = reader.next(1)
        assert found is not None
        assert 100 < len(found[1]["detections"]) < 3000
        with pytest.raises(EdgeError, match=r"640 x 480 is larger .* ring of its own"):
            ring(result(0, np.zeros((480, 640, 3), np.uint8)))
    assert reader.next() is None


def test_rings_that_are_none_are_named(tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match="There is no shared memory"):
        RingReader("nobody-wrote-this")
    for name in ("", "../x", ".x", "a b"):
        with pytest.raises(EdgeError, match="names no shared memory"):
            open_sink(f"shm://{name}")
    path = ring_path(f"test-{time.time_ns()}")
    path.write_bytes(b"x" * 100)
    with pytest.raises(EdgeError, match="not written by a SharedRing"):
        RingReader(path.name.removeprefix("edge-sdk."))
    path.unlink()


@pytest.mark.parametrize(
    "url", ["http://[", f"http://joe:{WORD}@host:99999/", f"mqtt://joe:{WORD}/x@host/topic"]
)
def test_malformed_urls_are_named_without_credentials(url: str) -> None:
    with pytest.raises(EdgeError, match="is no URL") as caught:
        open_sink(url)
    assert WORD not in "".join(traceback.format_exception(caught.value))


def test_unknown_urls_are_named_without_credentials() -> None:
    with pytest.raises(EdgeError, match="Unknown sink") as caught:
        open_sink(f"ftp://joe:{WORD}@host/x")
    assert WORD not in str(caught.value)
    with pytest.raises(EdgeError, match="names no host"):
        open_sink("http://")
