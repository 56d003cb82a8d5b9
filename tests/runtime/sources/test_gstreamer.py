from __future__ import annotations

import os
import stat
import threading
from itertools import islice
from pathlib import Path
from time import perf_counter

import pytest
from cameras import needs_program

from edge_sdk.errors import EdgeError
from edge_sdk.runtime import open_source
from edge_sdk.runtime.sources.csi import csi_pipeline
from edge_sdk.runtime.sources.gstreamer import GStreamerSource


@pytest.fixture
def gstreamer() -> None:
    needs_program("gst-launch-1.0", "gstreamer1.0-tools gstreamer1.0-plugins-base")


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.usefixtures("gstreamer")
def test_pipeline_gives_its_frames_and_ends() -> None:
    before = open_files(), threading.active_count()
    for width in (64, 65, 66, 67):  # rows that end at a multiple of four bytes, and others
        caps = f"video/x-raw,format=RGB,width={width},height=48,framerate=12/1"
        uri = f"gst://videotestsrc num-buffers=7 pattern=blue ! {caps}"
        with open_source(uri) as source:
            frames = list(source)
        assert len(frames) == 7
        assert {frame.image.shape for frame in frames} == {(48, width, 3)}
        assert all((frame.image == [255, 0, 0]).all() for frame in frames)
        assert source.fps == 12
    assert (open_files(), threading.active_count()) == before


@pytest.mark.usefixtures("gstreamer")
def test_pipelines_that_fail_say_why() -> None:
    before = open_files()
    for pipeline, message in (
        ("nosuchelement ! identity", 'fails: no element "nosuchelement"'),
        ("filesrc location=/none ! decodebin", "fails: Resource not found"),
        ("videotestsrc num-buffers=0", "fails: it ended before its first frame"),
    ):
        with open_source(f"gst://{pipeline}") as source, pytest.raises(EdgeError, match=message):
            list(source)
    with pytest.raises(EdgeError, match="names no element"):
        open_source("gst://")
    with pytest.raises(EdgeError, match="is not a pipeline: No closing quotation"):
        open_source("gst://videotestsrc pattern='x")
    assert open_files() == before


@pytest.mark.usefixtures("gstreamer")
def test_pipeline_that_stalls_is_lost_and_can_be_read_again() -> None:
    # Ten frames, and then a second of nothing before the stream would go on.
    pipeline = "videotestsrc num-buffers=10 ! video/x-raw,width=64,height=48 ! queue ! "
    source = GStreamerSource("stalls", f"{pipeline} identity sleep-time=700000", timeout=0.3)
    with pytest.raises(EdgeError, match=r"stalls is lost: no frame for 0\.3 s"):
        list(source)
    source = GStreamerSource("goes on", "videotestsrc ! video/x-raw,width=64,height=48")
    assert [frame.index for frame in islice(source, 3)] == [0, 1, 2]
    assert [frame.index for frame in islice(source, 3)] == [3, 4, 5]


@pytest.mark.usefixtures("gstreamer")
def test_closing_from_another_thread_ends_a_waiting_reader() -> None:
    source = GStreamerSource("slow", "videotestsrc is-live=true ! video/x-raw,framerate=1/30")
    threading.Timer(0.3, source.close).start()
    start = perf_counter()
    assert len(list(source)) <= 1
    assert perf_counter() - start < 2


def test_missing_program_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for uri in ("gst://videotestsrc", "csi://0"):
        with pytest.raises(EdgeError, match=r"apt-get install gstreamer1\.0-tools"):
            open_source(uri)


@pytest.mark.parametrize(
    ("element", "start"),
    [("nvarguscamerasrc", "nvarguscamerasrc sensor-id=1 ! "), ("libcamerasrc", "libcamerasrc ! ")],
)
def test_camera_of_the_board_takes_the_element_that_is_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, element: str, start: str
) -> None:
    """A stand-in for gst-inspect-1.0, for want of a board."""
    inspect = tmp_path / "gst-inspect-1.0"
    inspect.write_text(f'#!/bin/sh\n[ "$2" = {element} ]\n')
    inspect.chmod(inspect.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path))
    pipeline = csi_pipeline(1, (480, 640), 15)
    assert pipeline.startswith(start)
    assert "width=640,height=480,framerate=15/1" in pipeline
    inspect.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(EdgeError, match="none of the GStreamer elements nvarguscamerasrc"):
        csi_pipeline(1, None, None)
