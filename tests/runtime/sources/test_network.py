from __future__ import annotations

import contextlib
import io
import logging
import subprocess
import sys
import traceback
from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace

import numpy as np
import pytest
from cameras import MjpegCamera, RtspCamera, needs_program, serve_folder

from edge_sdk.errors import EdgeError, MissingExtra
from edge_sdk.runtime import open_source
from edge_sdk.runtime.sources.network import NetworkSource

pytest.importorskip("av")
pytest.importorskip("cv2")

WORD = "hunter2"


@pytest.fixture
def mjpeg() -> Iterator[MjpegCamera]:
    camera = MjpegCamera()
    with contextlib.closing(camera):
        yield camera


@pytest.fixture(scope="module")
def rtsp() -> Iterator[RtspCamera]:
    with contextlib.closing(RtspCamera((320, 240), 25, "joe", WORD)) as camera:
        yield camera


def told(error: BaseException) -> str:
    """Return all that a program could print of an error, what lies behind it included."""
    words = "".join(traceback.format_exception(error))
    while error.__context__ is not None:
        error = error.__context__
        words += repr(error) + str(error)
    return words


def test_mjpeg_gives_whole_frames_and_is_found_again(mjpeg: MjpegCamera) -> None:
    with open_source(f"{mjpeg.uri}?timeout=5&channel=3") as source:
        assert source.live
        connection = iter(source)
        frames = list(islice(connection, 5))
        assert mjpeg.paths == ["/video?channel=3"]
        mjpeg.cut = True
        with pytest.raises(EdgeError, match=r"is lost|has stopped sending"):
            deque(map(frames.append, connection))
        frames += islice(source, 3)
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert frames[0].image.shape == (64, 96, 3)
    assert frames[0].image.dtype == np.uint8
    # Half a picture would have two levels of grey.
    assert max(frame.image.std() for frame in frames) < 2
    assert source.damaged >= 1


def test_damaged_picture_is_left_out(mjpeg: MjpegCamera) -> None:
    """A JPEG whose end is missing: decoders would fill it with something."""
    mjpeg.size = (640, 480)
    with open_source(mjpeg.uri) as source:
        frames = iter(source)
        seen = list(islice(frames, 3))
        mjpeg.half = True
        while mjpeg.half or source.damaged == 0:
            seen.append(next(frames))
            assert len(seen) < 300
        seen += islice(frames, 3)
    assert max(frame.image.std() for frame in seen) < 2
    assert source.damaged == 1


def test_nothing_comes_after_damage_until_the_next_key_frame() -> None:
    """Packets as a test makes them: what the decoder has to guess, no stream does on demand."""
    pytest.importorskip("av")

    def packet(kind: str, number: int) -> SimpleNamespace:
        frame = SimpleNamespace(key_frame=kind == "K", is_corrupt=kind == "c", number=number)
        return SimpleNamespace(found=None if kind == "x" else [frame], is_corrupt=kind == "d")

    source = NetworkSource("camera", "rtsp://camera")
    packets = [
        None if kind == "0" else packet(kind, i) for i, kind in enumerate("..K.x.K.c.K.d.K0.K")
    ]
    given = [frame.number for frame in source._frames(packets, lambda p: p.found)]
    assert given == [2, 3, 6, 7, 10, 11, 14, 17]


def test_camera_that_sends_nothing_is_lost_in_time(mjpeg: MjpegCamera) -> None:
    with open_source(f"{mjpeg.uri}?timeout=0.3") as source:
        frames = iter(source)
        next(frames)
        mjpeg.stalled = True
        start = perf_counter()
        with pytest.raises(EdgeError, match=r"is lost: nothing came for 0\.3 s"):
            list(frames)
        assert perf_counter() - start < 2


def test_rtsp_camera(rtsp: RtspCamera) -> None:
    with open_source(f"{rtsp.uri}?transport=tcp&timeout=3") as source:
        connection = iter(source)
        frames = list(islice(connection, 5))
        assert frames[0].image.shape == (240, 320, 3)
        # A white ball on black, with nothing grey around it: no picture was made up.
        assert 0 < (frames[-1].image > 200).mean() < 0.05
        assert source.fps == 25
        rtsp.order("drop")
        with pytest.raises(EdgeError, match=r"is lost|has stopped sending"):
            deque(map(frames.append, connection))
        assert next(iter(source)).index == len(frames)
        assert WORD not in source.name


@pytest.mark.parametrize("transport", ["udp"])
def test_rtsp_over_udp(rtsp: RtspCamera, transport: str) -> None:
    with open_source(f"{rtsp.uri}?transport={transport}&latency=100&timeout=5") as source:
        assert len(list(islice(source, 3))) == 3


def test_hls_plays_at_its_own_pace_and_ends(tmp_path: Path) -> None:
    needs_program("ffmpeg", "ffmpeg")
    subprocess.run(
        [
            *("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=160x96:rate=20"),
            *("-t", "1", "-pix_fmt", "yuv420p", "-g", "10", "-hls_time", "0.5"),
            *("-hls_playlist_type", "vod", str(tmp_path / "list.m3u8")),
        ],
        check=True,
    )
    with serve_folder(tmp_path) as place, open_source(f"{place}/list.m3u8") as source:
        frames = list(source)
    assert len(frames) == 20
    assert 0.7 < frames[-1].timestamp < 3
    steps = np.diff([frame.timestamp for frame in frames])
    assert np.median(steps) == pytest.approx(0.05, abs=0.03)


def test_password_is_in_no_error(
    rtsp: RtspCamera, mjpeg: MjpegCamera, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    (tmp_path / "page.html").write_text("no video")
    mjpeg.stalled = True
    with serve_folder(tmp_path) as place:
        host = place.removeprefix("http://")
        uris = [
            f"rtsp://joe:not-{WORD}@{rtsp.place}",  # refused
            f"rtsp://joe:{WORD}@127.0.0.1:9/x",  # nobody there
            f"rtsp://joe:{WORD}@no.invalid/x",  # no such name
            f"rtsp://joe:{WORD}@[/x",  # no URL
            f"http://joe:{WORD}@{host}/none",  # 404
            f"http://joe:{WORD}@{host}/page.html",  # no video
            f"http://joe:{WORD}@{host}/page.html?pwd={WORD}",
            f"http://joe:{WORD}@127.0.0.1:{mjpeg.port}/video?timeout=0.2",  # silence
            f"gst://rtspsrc location=rtsp://joe:{WORD}@127.0.0.1:9/x ! decodebin",
            f"gst://nothing user-pw={WORD}",
            f"gst://nothing user-pw='{WORD}",  # no end of the quotation
            f"rtsp://joe:{WORD}@h/x?transport=none",
            f"ftp://joe:{WORD}@h/x",
            f"/none/http://joe:{WORD}@h/x.mp4",
            f"csi://joe:{WORD}@0",
            f"0?pwd={WORD}",
        ]
        for uri in uris:
            with pytest.raises(EdgeError) as caught, open_source(uri) as source:
                list(source)
            assert WORD not in told(caught.value), uri
    assert WORD not in caplog.text


@pytest.mark.parametrize("uri", [f"rtsp://joe:{WORD}@no.invalid/x", "http://no.invalid/x"])
def test_host_that_is_not_there_is_told(uri: str) -> None:
    with open_source(uri) as source, pytest.raises(EdgeError, match="its host cannot be found"):
        list(source)


def test_password_is_not_printed_by_the_libraries(mjpeg: MjpegCamera) -> None:
    """In a process of its own: what C code prints, pytest's own capture may miss."""
    code = f"""
from edge_sdk.errors import EdgeError
from edge_sdk.runtime import open_source
from edge_sdk.runtime.sources.network import NetworkSource
for uri in ("rtsp://joe:{WORD}@127.0.0.1:9/x", "http://joe:{WORD}@127.0.0.1:{mjpeg.port + 0}/v"):
    with open_source(uri) as source:
        try:
            print(next(iter(source)).source.name, repr(source))
        except EdgeError as error:
            print(error)
"""
    program = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert program.returncode == 0, program.stderr
    assert WORD not in program.stdout + program.stderr
    assert program.stdout.count("***@") == 2


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtra, match=r"'av'.*edge-sdk\[camera\]"):
        open_source("rtsp://camera/x")


@pytest.mark.parametrize("seed", range(8))
def test_damaged_streams_give_clear_errors(tmp_path: Path, seed: int) -> None:
    """A film served with bytes of it changed, or its end cut off."""
    cv2 = pytest.importorskip("cv2")
    rng = np.random.default_rng(seed)
    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 500, (64, 48))
    for level in range(10):
        writer.write(np.full((48, 64, 3), 20 * level, np.uint8))
    writer.release()
    data = bytearray(path.read_bytes())
    for place in rng.integers(0, len(data), 40):
        data[place] = rng.integers(256)
    path.write_bytes(data[: rng.integers(1, len(data))])
    out = io.StringIO()
    with serve_folder(tmp_path) as place, open_source(f"{place}/film.avi?timeout=2") as source:
        try:
            print(len(list(source)), file=out)
        except EdgeError as error:
            print(error, file=out)
    assert len(out.getvalue()) > 1
