from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_sdk.errors import EdgeError
from edge_sdk.runtime import open_source
from edge_sdk.runtime.sources.uri import parse_uri

cv2 = pytest.importorskip("cv2")


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Twelve frames, 64 x 48, each a little brighter."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for index in range(12):
        writer.write(np.full((48, 64, 3), 20 * index, np.uint8))
    writer.release()
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index, suffix in enumerate(("png", "bmp", "jpg")):
        cv2.imwrite(str(folder / f"{index}.{suffix}"), np.full((8, 8 + index, 3), 90, np.uint8))
    (folder / "notes.txt").write_text("no picture")
    (folder / "folder.jpg").mkdir()
    (folder / "dangling.jpg").symlink_to("nowhere.jpg")
    return folder


def test_video_gives_every_frame_in_order(video: Path) -> None:
    with open_source(video) as source:
        frames = list(source)
    assert [frame.index for frame in frames] == list(range(12))
    assert [round(frame.image.mean(), -1) for frame in frames] == [20 * i for i in range(12)]
    assert frames[0].image.shape == (48, 64, 3)
    assert frames[5].timestamp == pytest.approx(0.5)
    assert (source.fps, source.frames, source.live) == (10, 12, False)
    assert frames[0].source is source


def test_file_uri_is_its_path(video: Path) -> None:
    with open_source(video.as_uri()) as source:
        assert len(list(source)) == 12


def test_folder_and_glob_give_pictures_by_name(pictures: Path) -> None:
    for uri, widths in (
        (str(pictures), [8, 9, 10]),
        (f"{pictures}?fps=2", [8, 9, 10]),
        (f"{pictures}/?.*", [8, 9, 10]),
        (f"{pictures}/*.png?fps=2", [8]),
        (f"{pictures}/2.jpg", [10]),
    ):
        with open_source(uri) as source:
            assert [frame.image.shape[1] for frame in source] == widths
            assert source.fps == (2 if "fps" in uri else 5)
            assert source.damaged == 0


def test_street_is_the_test_camera() -> None:
    from edge_sdk.runtime.sources.street import Street

    with open_source("test://street?seed=4&size=160x96&fps=20&frames=2&split=train") as source:
        frames = list(source)
    assert [frame.timestamp for frame in frames] == [0, 0.05]
    street = Street(4, (96, 160), 20, split="train")
    np.testing.assert_array_equal(frames[1].image, street.frame(1).image)


class FakeCamera:
    """What OpenCV gives for a webcam: the only stand-in here, for want of a device."""

    def __init__(self, number: int, frames: int = 4) -> None:
        self.number, self.left, self.asked, self.released = number, frames, {}, False

    def set(self, key: int, value: float) -> None:
        self.asked[key] = value

    def get(self, key: int) -> float:
        return float(self.asked.get(key, 0))

    def read(self, image: Any = None) -> tuple[bool, Any]:
        self.left -= 1
        return self.left >= 0, np.zeros((48, 64, 3), np.uint8) if image is None else image

    def release(self) -> None:
        self.released = True


@pytest.mark.parametrize("uri", ["2?size=64x48&fps=15", "/dev/video2?size=64x48&fps=15"])
def test_webcam_is_asked_for_its_options_and_missed_when_gone(
    monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    cameras: list[FakeCamera] = []
    monkeypatch.setattr(
        cv2, "VideoCapture", lambda number: cameras.append(FakeCamera(number)) or cameras[-1]
    )
    frames = []
    with open_source(uri) as source:
        for _ in range(2):  # unplugged, and plugged in again
            with pytest.raises(EdgeError, match="gives no more pictures"):
                frames.extend(source)
    assert [frame.index for frame in frames] == list(range(8))
    assert [camera.number for camera in cameras] == [2, 2]
    assert cameras[0].asked[cv2.CAP_PROP_FRAME_WIDTH] == 64
    assert cameras[0].asked[cv2.CAP_PROP_FRAME_HEIGHT] == 48
    assert (source.live, source.fps) == (True, 15)
    assert all(camera.released for camera in cameras)


def test_webcam_timestamps_are_the_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", FakeCamera)
    with open_source("0") as source:
        frames = iter(source)
        first, second = next(frames), next(frames)
    assert first.timestamp == 0 < second.timestamp < 0.03


def test_grammar(tmp_path: Path) -> None:
    odd = tmp_path / "a?b=c.mp4"
    odd.touch()
    for text, scheme, place, options in (
        ("0", "", "0", {}),
        ("clip.mp4?loop=2&x=", "", "clip.mp4", {"loop": "2", "x": ""}),
        ("rtsp://h/s?a=1", "rtsp", "h/s", {"a": "1"}),
        ("img?.png", "", "img?.png", {}),
        ("file:///a%20b.mp4", "file", "/a b.mp4", {}),
        ("http://h/p?to=http://x/y", "http", "h/p", {"to": "http://x/y"}),
        ("gst://a ! b x=?y=1", "gst", "a ! b x=", {"y": "1"}),
        ("gst://a b=?c=1 ! d", "gst", "a b=?c=1 ! d", {}),
        (str(odd), "", str(odd), {}),
    ):
        parts = parse_uri(text)
        assert (parts.scheme, parts.place, parts.options) == (scheme, place, options)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("none.mp4", "no source at 'none.mp4'"),
        ("x" * 5000, "no source at"),
        ("", "no source at"),
        ("gst://a\0b", "no source at"),
        ("*.nothing", "holds no picture"),
        ("ftp://camera/stream", "ftp:// are not supported"),
        (
            "rtsp://camera/stream?transport=smoke",
            "option 'transport' cannot be 'smoke': give tcp or udp",
        ),
        (
            "rtsp://camera/stream?latency=-1",
            "option 'latency' cannot be '-1': give a number above 0",
        ),
        ("http://camera/stream?timeout=x", "option 'timeout' cannot be 'x'"),
        ("http://camera/stream?max_fps=0", "option 'max_fps' cannot be '0'"),
        ("test://street?roi=1,2,3", "option 'roi' cannot be '1,2,3': give LEFT,TOP,WIDTH,HEIGHT"),
        ("test://street?roi=1,2,0,3", "option 'roi' cannot be '1,2,0,3'"),
        ("csi://front", "is csi://NUMBER"),
        ("test://moon", "not a test camera"),
        ("test://street?size=big", "WIDTHxHEIGHT"),
        ("0?size=64", "option 'size' cannot be '64': give WIDTHxHEIGHT"),
        ("rtsp://camera/stream?decoder=x", "'x': give auto, software, nvdec, .* or v4l2"),
        ("0?size=0x64", "option 'size' cannot be '0x64'"),
        ("0?fps=nan", "option 'fps' cannot be 'nan'"),
        ("0?zoom=2", "unknown option 'zoom'; known here: size, fps, max_fps, roi"),
    ],
)
def test_bad_uris_are_named(uri: str, message: str) -> None:
    with pytest.raises(EdgeError, match=message):
        open_source(uri)


def test_unreadable_files_are_named(video: Path, tmp_path: Path) -> None:
    garbage, cut, empty = tmp_path / "garbage.mp4", tmp_path / "cut.avi", tmp_path / "empty.mp4"
    garbage.write_bytes(b"not a video" * 100)
    cut.write_bytes(video.read_bytes()[:64])
    empty.touch()
    for path in (garbage, cut, empty):
        with pytest.raises(EdgeError, match=f"{path.name} is not a video .*ffmpeg -i"):
            open_source(path)
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"not a picture")
    with open_source(picture) as source, pytest.raises(EdgeError, match="not an image"):
        list(source)
    with pytest.raises(EdgeError, match=r"option 'loop' cannot be '0': give .* or forever"):
        open_source(f"{video}?loop=0")


def test_absent_webcam_is_named() -> None:
    with open_source("99") as source, pytest.raises(EdgeError, match="Camera 99 gives no picture"):
        list(source)


def test_a_picture_among_others_that_cannot_be_read_is_left_out(
    pictures: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (pictures / "1.png").write_bytes(b"not a picture")
    with open_source(f"{pictures}?loop=2") as source:
        found = [frame.image.shape[1] for frame in source]
        assert (found, source.damaged) == ([8, 9, 10] * 2, 1)
    assert caplog.text.count("1.png is corrupt") == 1


def test_files_are_played_again(video: Path, pictures: Path) -> None:
    with open_source(f"{video}?loop=2&fps=4") as source:
        frames = list(source)
    assert [frame.index for frame in frames] == list(range(24))
    assert [round(frame.image.mean(), -1) for frame in frames] == 2 * [20 * i for i in range(12)]
    assert (source.fps, source.frames, frames[5].timestamp) == (4, 24, 1.25)
    with open_source(f"{pictures}?loop=3") as source:
        assert len(list(source)) == 9
    for uri in (video, pictures):
        with open_source(f"{uri}?loop=forever") as source:
            assert source.frames is None
            assert len(list(islice(source, 50))) == 50


def test_options_of_every_source(video: Path) -> None:
    for uri in (f"{video}?", "test://street?size=64x64&"):
        with open_source(f"{uri}max_fps=2.5&roi=1,2,30,40") as source:
            assert source.max_fps == 2.5
            assert source.region == (1, 2, 30, 40)
            assert next(iter(source)).index == 0
