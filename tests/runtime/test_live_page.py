from __future__ import annotations

import http.client
import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from browser import Browser
from cameras import needs_program
from scripted import Scripted

from edge_sdk.errors import EdgeError
from edge_sdk.runtime import Detector, Pipeline, Result, open_source, stream
from edge_sdk.runtime import live_page as module
from edge_sdk.runtime.live_page import LivePage
from edge_sdk.runtime.sources import Source

pytest.importorskip("cv2")

TOKEN = "a-secret-of-some-length"


class Served:
    """A stream that runs, and its page."""

    def __init__(
        self, detector: Detector, sources: list[Source], address: str = "127.0.0.1:0"
    ) -> None:
        self.pipeline = Pipeline(detector, sources)
        self.page = LivePage(address, self.pipeline)
        self.pipeline.start([self.page, broken])

    def close(self) -> None:
        self.pipeline.stop()
        self.pipeline.wait(5)
        self.page.close()

    def get(self, path: str, **headers: str) -> tuple[str, str]:
        url = self.page.url.replace("0.0.0.0", "127.0.0.1") + path
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=5) as got:
            return got.headers["Content-Type"], got.read().decode()


def broken(result: Result) -> None:
    raise OSError("as always")


@pytest.fixture
def served(detector: Detector, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(module, "EVERY", 0.4)
    sources = [
        open_source("test://street?size=320x192"),
        Scripted(None, live=True, pause=0.02, name='odd "name"\\'),
    ]
    with closing(Served(detector, sources)) as served:
        yield served


def status(served: Served) -> dict[str, Any]:
    deadline = time.monotonic() + 10
    while not (found := json.loads(served.get("status")[1]))["cameras"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def test_status_tells_rates_latencies_drops_and_health(served: Served) -> None:
    found = status(served)
    street, scripted = found["cameras"]
    assert street["name"] == "test://street?size=320x192"
    assert street["delivered_fps"] > 5
    assert street["state"] == scripted["state"] == "live"
    assert 0 < street["age_ms"]["p50"] <= street["age_ms"]["p99"] <= street["age_ms"]["max"]
    assert scripted["captured"] >= scripted["delivered"]
    assert found["stages_ms"]["inference"]["n"] > 0
    kind, page = served.get("")
    assert kind.startswith("text/html")
    assert "<title>Edge SDK</title>" in page
    with pytest.raises(urllib.error.HTTPError, match="404"):
        served.get("none")


def test_video_is_a_row_of_pictures(served: Served) -> None:
    import cv2
    import numpy as np

    with urllib.request.urlopen(f"{served.page.url}video?camera=0", timeout=5) as answer:
        assert "multipart/x-mixed-replace" in answer.headers["Content-Type"]
        for _ in range(3):
            while not (line := answer.readline()).startswith(b"Content-Length"):
                assert line
            answer.readline()
            data = answer.read(int(line.split()[1]))
            assert cv2.imdecode(np.frombuffer(data, np.uint8), 1).shape == (192, 320, 3)
    for camera in ("x", "-1", "99999"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            served.get(f"video?camera={camera}")


def test_picture_comes_once(served: Served) -> None:
    import cv2
    import numpy as np

    def ask(shown: str) -> tuple[int, str | None, bytes]:
        url = f"{served.page.url}picture?camera=0&shown={shown}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.headers["X-Frame"], answer.read()

    status(served)
    code, number, data = ask("")
    assert code == 200
    assert cv2.imdecode(np.frombuffer(data, np.uint8), 1).shape == (192, 320, 3)
    served.pipeline.pause()
    time.sleep(0.3)
    code, newest, _ = ask(str(number))
    assert (code, int(str(newest)) > int(str(number))) == (200, True)
    assert ask(str(newest)) == (204, None, b"")
    assert ask("")[1] == newest


def test_viewers_are_bounded_and_let_go(served: Served) -> None:
    viewers = [
        urllib.request.urlopen(f"{served.page.url}video?camera=1", timeout=5)
        for _ in range(module.VIEWERS)
    ]
    with pytest.raises(urllib.error.HTTPError, match="503"):
        served.get("video?camera=1")
    with pytest.raises(urllib.error.HTTPError, match="503"):
        served.get("picture?camera=1")
    for viewer in viewers:
        viewer.close()
    deadline = time.monotonic() + 10
    while not served.page.enter():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    served.page.leave()


def test_metrics_are_prometheus_own(served: Served) -> None:
    status(served)
    kind, text = served.get("metrics")
    assert "version=0.0.4" in kind
    street = 'camera="test://street?size=320x192"'
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    captured = float(lines[f"edge_sdk_frames_captured_total{{{street}}}"])
    delivered = float(lines[f"edge_sdk_frames_delivered_total{{{street}}}"])
    assert captured >= delivered > 0
    assert float(lines[f"edge_sdk_camera_up{{{street}}}"]) == 1
    assert 0 < float(lines[f'edge_sdk_stage_seconds{{{street},stage="age",quantile="0.5"}}']) < 5
    assert float(lines['edge_sdk_sink_failures_total{sink="broken"}']) > 0
    assert float(lines['edge_sdk_sink_failures_total{sink="live page"}']) == 0
    assert float(lines['edge_sdk_results_lost_total{sink="live page"}']) == 0
    assert r'camera="odd \"name\"\\"' in text
    needs_program("promtool", "prometheus")
    tool = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (tool.returncode, tool.stdout + tool.stderr) == (0, "")


def test_pages_elsewhere_cannot_look_through_a_viewers_browser(served: Served) -> None:
    """A name of theirs that leads to this machine (DNS rebinding)."""
    host, port = served.page.url.split("/")[2].split(":")
    for name, expected in (("evil.example", 403), (f"localhost:{port}", 200)):
        connection = http.client.HTTPConnection(host, int(port), timeout=5)
        connection.request("GET", "/status", headers={"Host": name})
        assert connection.getresponse().status == expected
        connection.close()


def test_others_need_the_token(detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(module.TOKEN, TOKEN)
    with closing(Served(detector, [Scripted(None, pause=0.01)], "0.0.0.0:0")) as served:
        for path in ("", "status", "metrics", "video", "picture", "status?token=wrong"):
            with pytest.raises(urllib.error.HTTPError, match="403"):
                served.get(path)
        assert served.get(f"status?token={TOKEN}")[0] == "application/json"
        assert served.get("status", Authorization=f"Bearer {TOKEN}")[0] == "application/json"
        assert TOKEN not in served.page.url


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("8080", "no address"),
        ("127.0.0.1:http", "no address"),
        ("127.0.0.1:70000", "no address"),
        ("0.0.0.0:0", "set the environment variable EDGE_SDK_TOKEN"),
        ("192.0.2.1:0", "EDGE_SDK_TOKEN"),
    ],
)
def test_bad_addresses_are_named(
    detector: Detector, monkeypatch: pytest.MonkeyPatch, address: str, message: str
) -> None:
    monkeypatch.delenv(module.TOKEN, raising=False)
    with pytest.raises(EdgeError, match=message):
        stream(detector, Scripted(1), serve=address)


def test_port_that_is_taken_is_named(served: Served, detector: Detector) -> None:
    address = served.page.url.split("/")[2]
    with pytest.raises(EdgeError, match=f"Cannot serve at {address}"):
        stream(detector, Scripted(1), serve=address)


def test_page_in_a_browser(served: Served, tmp_path: Path) -> None:
    """What a person sees: a picture of each camera, its name, rate, ages and drops."""
    with closing(Browser(tmp_path / "profile")) as browser:
        browser.open(served.page.url)
        browser.wait_for("[...document.images].map(i => i.naturalWidth).join() == '320,64'")
        words = browser.wait_for("document.body.innerText")
        assert "test://street?size=320x192" in words
        assert "frames a second" in words
        assert "age ms: p50" in words
        assert "inference" in words
        browser.wait_for("document.querySelectorAll('.state.live').length == 2")
        # It follows: two seconds later the stream is older.
        seconds = "parseFloat(document.getElementById('rest').textContent)"
        before = browser.wait_for(seconds)
        browser.wait_for(f"{seconds} > {before + 1}")
        browser.screenshot(tmp_path / "page.png")
        assert (tmp_path / "page.png").stat().st_size > 10_000
        served.pipeline.stop()
        served.page.close()
        browser.wait_for("document.body.innerText.includes('The stream has ended.')")


def test_page_of_more_cameras_than_a_browser_has_connections(
    detector: Detector, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "EVERY", 0.4)
    sources: list[Source] = [
        Scripted(None, live=True, pause=0.2, name=str(number)) for number in range(9)
    ]
    with (
        closing(Served(detector, sources)) as served,
        closing(Browser(tmp_path / "profile")) as browser,
    ):
        browser.open(served.page.url)
        browser.wait_for("[...document.images].filter(i => i.naturalWidth == 64).length == 9")
        seconds = "parseFloat(document.getElementById('rest').textContent)"
        before = browser.wait_for(seconds)
        browser.wait_for(f"{seconds} > {before + 1}")
        picture = "document.images[8].src"
        before = browser.wait_for(picture)
        browser.wait_for(f"{picture} != '{before}'")
