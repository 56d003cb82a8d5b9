"""What goes wrong stays where it happens, and is told."""

from __future__ import annotations

import errno
import gc
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from cameras import MjpegCamera
from scripted import Scripted, adds_up

from edge_sdk.errors import EdgeError
from edge_sdk.runtime import Detector, Pipeline, Result, faults, open_source, stream
from edge_sdk.runtime import camera as camera_module
from edge_sdk.runtime.sources import Source

WORD = "hunter2"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Come back after milliseconds."""
    monkeypatch.setattr(camera_module, "Backoff", lambda: Quick())


class Quick:
    def next(self) -> float:
        return 0.005

    def reset(self) -> None:
        pass


def test_lost_camera_is_found_again_and_its_frames_numbered_on(
    detector: Detector, caplog: pytest.LogCaptureFixture
) -> None:
    camera = Scripted(5, live=True, pause=0.002, fault=EdgeError("unplugged"))
    seen: list[int] = []
    summary = stream(detector, camera, sinks=[lambda r: seen.append(r.frame.index)], max_frames=40)
    counts = summary.counts["scripted"]
    assert adds_up(counts)
    assert seen == sorted(set(seen))
    assert counts.captured > 40 - 5
    assert summary.cameras["scripted"]["reconnects"] == camera.opened - 1 >= 7
    assert f"found again {camera.opened - 1} times" in summary.remarks[-1]
    assert caplog.messages[:2] == ["unplugged", "scripted is back"]


def test_camera_that_dies_does_not_disturb_the_others(detector: Detector) -> None:
    steady = Scripted(None, live=True, pause=0.005, name="steady")
    dying = Scripted(2, live=True, pause=0.005, fault=RuntimeError("driver"), name="dying")
    broken = Scripted(3, fault=EdgeError("damaged"), name="broken.mp4")
    seen: list[str] = []

    def note(result: Result) -> Any:
        seen.append(result.frame.source.name)
        return seen.count("steady") < 20 or dying.opened < 5

    summary = stream(detector, [steady, dying, broken], sinks=[note], duration=30)
    assert all(adds_up(counts) for counts in summary.counts.values())
    assert summary.counts["steady"].delivered >= 20
    assert summary.counts["broken.mp4"].delivered == 3
    assert summary.cameras["dying"]["reconnects"] >= 3
    assert summary.cameras["broken.mp4"]["state"] == "failed"
    assert summary.failures == ("broken.mp4 failed: damaged",)


def test_only_source_that_fails_is_an_error_after_what_it_gave(
    detector: Detector, tmp_path: Path
) -> None:
    seen: list[Any] = []
    out = tmp_path / "out.jsonl"
    before = threading.active_count()
    with pytest.raises(EdgeError, match="damaged"):
        stream(detector, Scripted(3, fault=EdgeError("damaged")), sinks=[seen.append, out])
    assert len(seen) == 3
    assert len(out.read_text().splitlines()) == 3
    assert threading.active_count() == before


def test_cameras_that_never_gave_a_frame_are_an_error(
    detector: Detector, caplog: pytest.LogCaptureFixture
) -> None:
    sources = [Scripted(0, live=True, fault=EdgeError(f"no {n}"), name=n) for n in "ab"]
    with pytest.raises(EdgeError, match="no a"):
        stream(detector, sources)
    caplog.clear()
    # One that lives is reason enough to go on looking for the other.
    waiting = Scripted(0, live=True, fault=EdgeError("not there yet"), name="a")
    steady = Scripted(None, live=True, pause=0.005, name="b")
    summary = stream(detector, [waiting, steady], duration=0.5)
    assert waiting.opened > 3
    assert summary.counts["b"].delivered > 3
    assert summary.cameras["a"]["trouble"] == "not there yet"
    assert summary.cameras["a"]["state"] == "lost"
    assert summary.failures == ("a gave nothing: not there yet",)
    assert caplog.messages == ["not there yet"]


def test_sink_that_raises_is_counted_and_the_others_go_on(
    detector: Detector, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(result: Result) -> None:
        raise OSError(f"cannot reach http://joe:{WORD}@host/")

    def mistaken(result: Result) -> None:
        if result.frame.index == 2:
            raise ZeroDivisionError

    seen: list[Result] = []
    summary = stream(detector, Scripted(8), sinks=[broken, mistaken, seen.append])
    assert [result.frame.index for result in seen] == list(range(8))
    assert "broken failed 8 times: OSError('cannot reach http://***@host/')" in summary.failures[0]
    assert "mistaken failed 1 time: ZeroDivisionError()" in summary.failures[1]
    assert len(caplog.messages) == 2
    assert "Traceback" in caplog.text
    assert WORD not in caplog.text + str(summary.to_dict())


def test_faults_that_take_turns_are_told_once_each(
    detector: Detector, caplog: pytest.LogCaptureFixture
) -> None:
    def fickle(result: Result) -> None:
        raise EdgeError("one." if result.frame.index % 3 else "other.")

    def varied(result: Result) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), f"/full/{result.frame.index}")

    summary = stream(detector, Scripted(30), sinks=[fickle, varied])
    assert len(caplog.messages) == 2 + faults.KINDS
    assert "fickle failed 30 times: one (20); other (10)" in summary.failures[0]
    assert "varied failed 30 times: No space left on device: /full/0 (1); " in summary.failures[1]
    assert summary.failures[1].endswith(f"; others ({30 - faults.KINDS})")


def test_inference_that_fails_now_and_then_is_counted(
    detector: Detector, caplog: pytest.LogCaptureFixture
) -> None:
    class Odd(Scripted):
        def _images(self) -> Iterator[npt.NDArray[np.uint8]]:
            for index, image in enumerate(super()._images()):
                yield image if index % 3 else image[..., :2]

    seen: list[int] = []
    summary = stream(detector, Odd(30), sinks=[lambda result: seen.append(result.frame.index)])
    counts = summary.counts["scripted"]
    assert (counts.failed, counts.delivered, counts.captured) == (10, 20, 30)
    assert seen == [index for index in range(30) if index % 3]
    assert caplog.text.count("Inference fails") == 1
    assert "10 inferences failed" in summary.failures[0]
    assert "must be a non-empty uint8 array" in summary.failures[0]


def test_detector_that_fails_always_ends_the_stream(tiny_bundle: Path) -> None:
    before = threading.active_count()
    with Detector(tiny_bundle, threads=1) as detector:
        pipeline = Pipeline(detector, [source := Scripted(None, pause=0.001)])
        results = iter(pipeline)
        next(results)
    with pytest.raises(EdgeError, match="closed"):
        list(results)
    assert adds_up(pipeline.summary().counts["scripted"])
    assert pipeline.summary().counts["scripted"].failed == 10
    assert source.closed
    assert threading.active_count() == before


def test_source_that_hangs_is_called_stalled_and_the_stream_still_ends(
    detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(camera_module, "STALLED", 0.2)
    free = threading.Event()

    class Hanging(Source):
        live = True

        def _images(self) -> Iterator[npt.NDArray[np.uint8]]:
            yield np.zeros((48, 64, 3), np.uint8)
            free.wait(30)

    pipeline = Pipeline(detector, [Hanging("hanging", 100), Scripted(None, live=True, pause=0.01)])
    pipeline.start()
    deadline = time.monotonic() + 10
    while pipeline.cameras[0].state != "stalled":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    pipeline.stop()
    start = time.perf_counter()
    assert pipeline.wait(5)
    assert time.perf_counter() - start < 2  # half a second, and what a busy machine adds
    free.set()
    summary = pipeline.summary()
    assert all(adds_up(counts) for counts in summary.counts.values())
    assert summary.counts["scripted"].delivered > 5


def test_start_pause_resume_and_stop_from_code(detector: Detector) -> None:
    seen: list[Result] = []
    live = Scripted(None, live=True, pause=0.002, name="live")
    file = Scripted(None, pause=0.002, name="file")
    pipeline = Pipeline(detector, [live, file])
    with pytest.raises(EdgeError, match="has not been started"):
        pipeline.wait()
    pipeline.start([seen.append])
    wait_for(lambda: len(seen) > 10)
    pipeline.pause()
    time.sleep(0.1)
    paused = len(seen)
    time.sleep(0.15)
    assert len(seen) == paused
    assert not pipeline.wait(0)
    pipeline.resume()
    wait_for(lambda: len(seen) > paused + 10)
    pipeline.stop()
    assert pipeline.wait(5)
    counts = pipeline.summary().counts
    assert all(adds_up(each) for each in counts.values())
    assert counts["live"].paused > 20
    assert counts["file"].paused == counts["file"].late == 0
    after = next(r for r in seen[paused:] if r.frame.source is live)
    assert after.missed > 20
    with pytest.raises(EdgeError, match="has been started"):
        pipeline.start()


def test_stop_event_ends_the_stream(detector: Detector) -> None:
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    summary = stream(detector, Scripted(None, live=True, pause=0.01), stop=stop)
    assert 0.2 <= summary.seconds < 1.5


def test_frozen_and_black_pictures_are_told(
    detector: Detector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("edge_sdk.runtime.picture_check.FROZEN", 0.1)
    monkeypatch.setattr("edge_sdk.runtime.picture_check.BLACK", 0.1)

    class Faulty(Source):
        live = True

        def _images(self) -> Iterator[npt.NDArray[np.uint8]]:
            for level in (*range(30, 60), *[100] * 60, *range(60, 70), *[0, 1] * 30):
                time.sleep(0.005)
                yield np.full((48, 64, 3), level, np.uint8)

    summary = stream(detector, Faulty("faulty", 200))
    camera = summary.cameras["faulty"]
    assert (camera["frozen"], camera["black"]) == (1, 1)
    assert caplog.messages == [
        "faulty: the picture is frozen",
        "faulty: the picture is as it should be again",
        "faulty: the picture is black",
    ]
    assert summary.counts["faulty"].captured == 160


@pytest.mark.parametrize("rounds", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_disconnects_leave_nothing_behind(detector: Detector, rounds: int) -> None:
    """A real camera over HTTP that hangs up; threads, sockets and files are counted."""
    pytest.importorskip("av")
    pytest.importorskip("cv2")
    with closing(MjpegCamera(fps=200)) as mjpeg:
        before = threading.active_count(), len(os.listdir("/proc/self/fd"))
        pipeline = Pipeline(detector, [open_source(f"{mjpeg.uri}?timeout=2")])
        camera, seen = pipeline.cameras[0], 0
        for _ in pipeline:
            seen += 1
            if camera.connects == rounds + 1:
                pipeline.stop()
            elif seen % 3 == 0:
                seen += 1
                mjpeg.drop()
                wait_for(lambda before=camera.connects: camera.connects > before or camera.trouble)
        assert camera.reconnects == rounds
        assert adds_up(pipeline.summary().counts[camera.name])
        gc.collect()
        wait_for(lambda: threading.active_count() <= before[0])
        wait_for(lambda: len(os.listdir("/proc/self/fd")) <= before[1])


def test_password_is_in_no_report(
    detector: Detector, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("av")
    caplog.set_level(logging.DEBUG)
    uri = f"rtsp://joe:{WORD}@127.0.0.1:9/x?pwd={WORD}"
    stats, lines = tmp_path / "stats.jsonl", tmp_path / "out.jsonl"
    with pytest.raises(EdgeError) as caught:
        stream(detector, uri, stats=stats, sinks=[lines])
    assert WORD not in str(caught.value)
    both = [uri, Scripted(30, pause=0.01)]
    summary = stream(detector, both, stats=stats, sinks=[lines], duration=1)
    words = caplog.text + stats.read_text() + lines.read_text() + str(summary)
    assert "connection refused" in words
    assert WORD not in words


def wait_for(condition: Any, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
