from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scripted import Scripted

from edge_sdk.detections import Detections
from edge_sdk.errors import EdgeError
from edge_sdk.runtime import (
    Frame,
    Result,
    StageTimes,
    file_series,
    open_sink,
    stats_file,
    stream,
)
from edge_sdk.runtime.sinks import encoder, video_file
from edge_sdk.runtime.sources.pictures import PictureSource

cv2 = pytest.importorskip("cv2")

FOUND = Detections(
    np.array([[8, 20, 60, 40]], np.float32), np.array([0.75], np.float32),
    np.zeros(1, np.int32), ("car",),
)  # fmt: skip


def source(name: str = "clip", fps: float = 10.0) -> PictureSource:
    return PictureSource(name, [Path("unread")], fps)


def result(camera: PictureSource, index: int, size: tuple[int, int] = (48, 64)) -> Result:
    image = np.full((*size, 3), 10 * index % 250, np.uint8)
    frame = Frame(image, index, index / camera.fps, camera)
    return Result(frame, FOUND, StageTimes(0.001, 0.002, 0.003), 0.0071, 0.001, 1.7e9, 3)


def read(path: Path) -> tuple[float, list[Any]]:
    capture = cv2.VideoCapture(str(path))
    images = []
    while (answer := capture.read())[0]:
        images.append(answer[1])
    return capture.get(cv2.CAP_PROP_FPS), images


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi"])
def test_video_file_is_whole_when_closed_and_plays(tmp_path: Path, suffix: str) -> None:
    path, camera = tmp_path / f"out.{suffix}", source()
    sink = open_sink(path)
    for index in range(6):
        sink(result(camera, index))
    assert path.exists() == (suffix != "avi")
    sink.close()
    fps, images = read(path)
    assert (fps, len(images), images[0].shape) == (10, 6, (48, 64, 3))
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_video_is_h264_and_plays_while_it_grows(tmp_path: Path, suffix: str) -> None:
    av = pytest.importorskip("av")
    path, camera = tmp_path / f"out.{suffix}", source()
    sink = open_sink(path)
    for index in range(35):  # 3.5 seconds
        sink(result(camera, index))
    copy = tmp_path / f"killed.{suffix}"  # as it lies there when the program is killed
    copy.write_bytes(path.read_bytes())
    assert len(read(copy)[1]) >= 20
    sink.close()
    with av.open(str(path)) as file:
        assert file.streams.video[0].codec_context.name == "h264"
        assert file.streams.video[0].frames in (35, 0)  # Matroska does not say
        assert len(list(file.decode(video=0))) == 35


def test_video_of_odd_sides_and_another_size_later(tmp_path: Path) -> None:
    sink, camera = open_sink(tmp_path / "out.mp4"), source()
    sink(result(camera, 0, (49, 63)))
    sink(result(camera, 1, (20, 20)))
    sink.close()
    assert {image.shape for image in read(tmp_path / "out.mp4")[1]} <= {(50, 64, 3), (49, 63, 3)}


def test_without_an_encoder_for_h264_the_log_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(encoder, "H264", {"none": {}, "h264_nvenc": {"preset": "no such"}})
    sink, camera = open_sink(tmp_path / "out.mp4"), source()
    for index in range(3):
        sink(result(camera, index))
    assert not (tmp_path / "out.mp4").exists()
    sink.close()
    assert len(read(tmp_path / "out.mp4")[1]) == 3
    assert "is not written as H.264" in caplog.text


def test_video_is_annotated_and_the_frame_is_not(tmp_path: Path) -> None:
    shown = result(source(), 0)
    sink = open_sink(tmp_path / "out.avi")
    sink(shown)
    sink.close()
    assert (shown.frame.image == 0).all()
    assert read(tmp_path / "out.avi")[1][0].max() > 100


def test_video_keeps_the_time_of_the_source_over_missed_frames(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    for suffix in ("mp4", "mkv", "avi"):
        sink, camera = open_sink(tmp_path / f"out.{suffix}"), source()
        for index in (3, 4, 9):
            sink(result(camera, index))
        sink.close()
    for suffix in ("mp4", "mkv"):
        with av.open(str(tmp_path / f"out.{suffix}")) as file:
            times = [frame.time for frame in file.decode(video=0)]
        assert times == pytest.approx([0, 0.1, 0.6], abs=1e-3)
    brightness = [int(image[-6:].mean().round(-1)) for image in read(tmp_path / "out.avi")[1]]
    assert brightness == [30, 40, 40, 40, 40, 40, 90]


@pytest.mark.parametrize("true_fps", [4, 10, 40])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi"])
def test_video_keeps_the_time_of_a_camera_that_lies_about_its_rate(
    tmp_path: Path, suffix: str, true_fps: int
) -> None:
    av = pytest.importorskip("av")
    sink, camera = open_sink(tmp_path / f"out.{suffix}"), source(fps=10)
    keys = []
    for index in range(3 * true_fps + 1):
        shown = result(camera, index)
        jitter = 0.04 * (index % 2) / true_fps
        frame = Frame(shown.frame.image, index, 5 + index / true_fps + jitter, camera)
        sink(replace(shown, frame=frame))
    sink.close()
    with av.open(str(tmp_path / f"out.{suffix}")) as file:
        frames = list(file.decode(video=0))
    keys = [frame.time for frame in frames if frame.key_frame]
    assert frames[-1].time == pytest.approx(3, abs=0.15)
    assert max(np.diff(keys)) <= 1.3
    if suffix != "avi":
        assert len(frames) == 3 * true_fps + 1


def test_long_gap_is_cut_short_where_the_rate_is_fixed(tmp_path: Path) -> None:
    sink, camera = open_sink(tmp_path / "out.avi"), source()
    for index in (0, 10**6, 10**6 + 3):
        sink(result(camera, index))
    sink.close()
    assert len(read(tmp_path / "out.avi")[1]) == 1 + 100 + 1 + 3


def test_video_grows_in_the_file_and_not_in_memory(tmp_path: Path) -> None:
    pytest.importorskip("av")
    made = encoder.h264_encoder(tmp_path / "out.mp4", (32, 32), 30)
    assert made is not None
    resident: list[int] = []
    for number in range(45_001):
        made.write(np.zeros((32, 32, 3), np.uint8), number / 30)
        if number in (15_000, 45_000):
            resident.append(int(Path("/proc/self/statm").read_text().split()[1]))
    made.close()
    assert (resident[1] - resident[0]) * os.sysconf("SC_PAGE_SIZE") < 1e6  # an index: 2 MB


def test_each_source_has_a_video_of_its_own(tmp_path: Path) -> None:
    sink = open_sink(tmp_path / "out.mp4")
    one, other = source("one", 10), source("other", 5)
    for index in range(3):
        sink(result(one, index))
        sink(result(other, index, (32, 32)))
    sink.close()
    assert [(fps, len(images)) for fps, images in map(read, sorted(tmp_path.iterdir()))] == [
        (5, 3),
        (10, 3),
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out-2.mp4", "out.mp4"]


def test_videos_are_divided_by_source_and_begin_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter(range(100))
    monkeypatch.setattr(file_series, "perf_counter", lambda: next(seconds))
    sink = open_sink(f"{tmp_path}/out.mp4?every=4&keep=2")
    one, other = source("one", 10), source("other", 5)
    for index in range(9):
        sink(result(one, index))
        sink(result(other, index, (32, 32)))
    sink.close()
    rows: dict[str, list[int]] = {}
    for path in sorted(tmp_path.iterdir()):
        rows.setdefault(path.stem.rpartition("-")[0], []).append(len(read(path)[1]))
    assert {name: len(row) for name, row in rows.items()} == {"out": 2, "out-2": 2}
    assert all(count > 0 for row in rows.values() for count in row)


def test_pictures_of_other_sizes_are_fitted(tmp_path: Path) -> None:
    sink, camera = open_sink(tmp_path / "out.avi"), source()
    for index, size in enumerate(((48, 64), (200, 100), (7, 300), (1, 1))):
        sink(result(camera, index, size))
    sink.close()
    assert [image.shape for image in read(tmp_path / "out.avi")[1]] == [(48, 64, 3)] * 4


def test_video_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.avi").mkdir()
    for path in (tmp_path / "file" / "out.mp4", tmp_path / "folder.avi", Path("/proc/out.mkv")):
        with pytest.raises(EdgeError, match=f"Cannot write {path}"):
            open_sink(path)
    sink = open_sink(tmp_path / "out.mp4")  # what comes to pass later
    (tmp_path / "out.mp4").mkdir()
    with pytest.raises(EdgeError, match="Cannot write"):
        sink(result(source(), 0))
    sink.close()


def test_nothing_seen_writes_no_video(tmp_path: Path) -> None:
    open_sink(tmp_path / "out.mp4").close()
    assert not list(tmp_path.iterdir())


def test_json_lines_are_whole_at_any_time(tmp_path: Path) -> None:
    path, camera = tmp_path / "out.jsonl", source()
    sink = open_sink(str(path))
    for index in range(2):
        sink(result(camera, index))
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert len(lines) == index + 1
    sink.close()
    assert lines[1] == {
        "source": "clip",
        "index": 1,
        "timestamp": 0.1,
        "captured": 1.7e9,
        "age_ms": 7.1,
        "missed": 3,
        "detections": [{"box": [8, 20, 60, 40], "score": 0.75, "class_id": 0, "name": "car"}],
    }


def test_json_lines_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match="Cannot write"):
        open_sink(tmp_path / "none" / "out.jsonl")


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """Give a disk of 128 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_full_disk_is_told_and_the_stream_goes_on(
    full: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    av = pytest.importorskip("av")
    monkeypatch.setattr(stats_file, "EVERY", 0.01)
    monkeypatch.setattr(video_file, "RETRY", 0.1)
    chance = np.random.default_rng(0)
    (full / "ballast").write_bytes(bytes(32 << 10))

    def note(result: Result) -> None:
        result.frame.image[:] = chance.integers(0, 256, (48, 64, 3))  # nothing that compresses
        if result.frame.index == 250:  # room again, for lines
            (full / "ballast").unlink(missing_ok=True)

    summary = stream(
        tiny_bundle, Scripted(300, pause=0.005), stats=full / "stats.jsonl",
        sinks=[note, full / "out.mp4", full / "out.jsonl"], threads=1, max_detections=3,
    )  # fmt: skip
    assert summary.delivered == 300
    words = "\n".join(summary.failures)
    for name in ("out.mp4", "out.jsonl", "stats.jsonl"):
        assert re.search(rf"{name} failed \d+ times?: .*No space left", words)
    for name in ("out.mp4", "out-2.mp4"):  # from before and after
        with av.open(str(full / name)) as file:
            assert len([packet for packet in file.demux(video=0) if packet.size]) > 3
    for name in ("out.jsonl", "stats.jsonl"):
        lines = [json.loads(line) for line in (full / name).read_text().splitlines()]
        assert len(lines) > 1
    assert lines[-1]["final"] is True
    # Where OpenCV writes, it says nothing until the end.
    summary = stream(tiny_bundle, Scripted(300), sinks=[note, full / "out.avi"], threads=1)
    assert "out.avi holds" in summary.failures[0]
    assert not (full / "out.avi").exists()


def test_window_without_a_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(EdgeError, match="no screen for a window"):
        open_sink("window")


def test_window_in_a_headless_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(delay: int) -> int:
        raise cv2.error("The function is not implemented")

    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(cv2, "waitKey", refuse)
    with pytest.raises(EdgeError, match="built without windows"):
        open_sink("window")


@pytest.mark.parametrize(
    ("key", "goes_on"), [(-1, True), (ord("x"), True), (ord("q"), False), (27, False)]
)
def test_window_shows_and_leaves_at_a_key(
    monkeypatch: pytest.MonkeyPatch, key: int, goes_on: bool
) -> None:
    shown = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(cv2, "waitKey", lambda delay: key)
    monkeypatch.setattr(cv2, "imshow", lambda name, image: shown.append((name, image.shape)))
    monkeypatch.setattr(cv2, "destroyAllWindows", lambda: shown.append("closed"))
    sink = open_sink("window")
    assert sink(result(source(), 0)) is goes_on
    sink.close()
    assert shown == [("clip", (48, 64, 3)), "closed"]


def test_unknown_sink_is_named() -> None:
    with pytest.raises(EdgeError, match=r"Unknown sink 'out\.gif'"):
        open_sink("out.gif")
