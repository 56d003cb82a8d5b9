"""Chips that are not here: what is chosen, how it fails, and that the pictures are the same."""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from cameras import RtspCamera, needs_program

from edge_sdk.errors import EdgeError
from edge_sdk.runtime import open_source
from edge_sdk.runtime.sources import decoders
from edge_sdk.runtime.sources.decoders import StreamDecoder, choose, hardware_decoders, picture
from edge_sdk.runtime.sources.gstreamer import GStreamerSource
from edge_sdk.runtime.sources.network import NetworkSource
from edge_sdk.runtime.sources.video import AvVideoSource, VideoSource

pytest.importorskip("cv2")
av = pytest.importorskip("av")


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Look at the machine anew."""
    decoders.trouble.cache_clear()
    yield
    decoders.trouble.cache_clear()


def written(path: Path, codec: str, height: int = 48) -> Path:
    """Twelve pictures, each brighter than the last."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, height, "yuv420p"
        for level in range(12):
            picture = np.full((height, 64, 3), 20 * level, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        file.mux(stream.encode())
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Twelve pictures, as H.264."""
    return written(tmp_path / "clip.mp4", "libx264")


def levels(source: object) -> list[int]:
    return [round(float(frame.image.mean()), -1) for frame in source]  # type: ignore[attr-defined]


def test_machine_without_a_chip_decodes_on_the_cpu(clip: Path) -> None:
    if hardware_decoders():
        pytest.skip("this machine has a chip that decodes")
    with open_source(clip) as source:
        assert isinstance(source, VideoSource)
        assert len(levels(source)) == 12


@pytest.mark.parametrize("chip", ["nvdec", "vaapi", "v4l2"])
def test_chip_that_does_not_work_is_told_and_the_cpu_decodes(
    clip: Path, chip: str, caplog: pytest.LogCaptureFixture
) -> None:
    with open_source(f"{clip}?decoder={chip}") as source:
        if not isinstance(source, VideoSource):
            pytest.skip(f"this machine has {chip}")
        assert len(levels(source)) == 12
    assert f"{chip} does not decode here (" in caplog.text
    assert caplog.text.count("the CPU does") == 1


def test_best_chip_of_those_that_are_here_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoders, "hardware_decoders", lambda: ["nvdec", "gstreamer", "v4l2"])
    monkeypatch.setattr(decoders, "trouble", lambda chip: "asleep" if chip == "nvdec" else "")
    assert choose("auto", "x") == "gstreamer"
    assert choose("auto", "x", "gstreamer") == "v4l2"
    assert choose("software", "x") == "software"
    assert choose("nvdec", "x") == "software"


def test_chip_gives_the_same_pictures(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The decoder of its own that V4L2 has, played by FFmpeg's on the CPU."""
    monkeypatch.setattr(decoders, "V4L2", "{codec}")
    with open_source(f"{clip}?decoder=v4l2&loop=2") as source:
        assert isinstance(source, AvVideoSource)
        assert source.frames == 24
        assert source.fps == 10
        found = levels(source)
    assert found == levels(open_source(f"{clip}?decoder=software")) * 2


def test_pictures_are_turned_as_the_file_says(clip: Path) -> None:
    content = bytearray(clip.read_bytes())
    matrix = content.index(b"tkhd") + 44
    content[matrix : matrix + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    clip.write_bytes(content)
    for source in (AvVideoSource("clip", clip, "software"), VideoSource("clip", clip)):
        assert next(iter(source)).image.shape == (64, 48, 3)


def test_what_opencv_cannot_decode_pyav_does(tmp_path: Path) -> None:
    if "libsvtav1" not in av.codecs_available:
        pytest.skip("this PyAV writes no AV1")
    path = written(tmp_path / "clip.mkv", "libsvtav1", height=64)  # the least that it takes
    with open_source(f"{path}?loop=2") as source:
        assert levels(source) == 2 * [20 * level for level in range(12)]


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("decoder", ["software", "v4l2"])
def test_pictures_come_when_the_file_says(
    tmp_path: Path, suffix: str, decoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoders, "V4L2", "{codec}")
    path, moments = tmp_path / f"uneven.{suffix}", [0.0, 0.01, 0.02, 0.5, 0.6, 1.1]
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for moment in moments:
            picture = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="bgr24")
            picture.pts, picture.time_base = round(moment * 1000), Fraction(1, 1000)
            file.mux(stream.encode(picture))
        file.mux(stream.encode())
    with open_source(f"{path}?decoder={decoder}&loop=2") as source:
        found, step = [frame.timestamp for frame in source], 1 / source.fps
    again = [1.1 + step + moment for moment in moments]
    assert found == pytest.approx([*moments, *again], abs=1e-6)
    with open_source(f"{path}?decoder={decoder}&fps=4") as source:
        assert [frame.timestamp for frame in source] == [index / 4 for index in range(6)]


def test_chip_that_fails_while_it_decodes_is_told_and_the_cpu_goes_on(
    clip: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(decoders, "trouble", lambda chip: "")
    with open_source(f"{clip}?decoder=v4l2&loop=2") as source:
        assert len(levels(source)) == 24
    assert caplog.text.count("v4l2 fails (") == 1


def test_damaged_packet_gives_nothing(clip: Path) -> None:
    with av.open(str(clip)) as file:
        stream = file.streams.video[0]
        decode = StreamDecoder(stream, "software", "clip", {"err_detect": "explode"})
        packet = next(file.demux(stream))
        damaged = av.Packet(bytes(packet)[: packet.size // 2])
        assert decode(damaged) is None
        assert decode(packet) is not None


def test_network_camera_takes_a_chip_too(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(decoders, "V4L2", "{codec}")
    with closing(RtspCamera()) as camera, open_source(f"{camera.uri}?decoder=v4l2") as source:
        assert isinstance(source, NetworkSource)
        for frame in source:
            assert frame.image.shape == (240, 320, 3)
            if frame.index == 5:
                break
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_gstreamer_reads_a_network_camera() -> None:
    needs_program("gst-launch-1.0", "gstreamer1.0-tools gstreamer1.0-libav")
    options = "decoder=gstreamer&timeout=60"  # a busy machine needs seconds to begin
    with closing(RtspCamera()) as camera, open_source(f"{camera.uri}?{options}") as source:
        assert isinstance(source, GStreamerSource)
        for frame in source:
            assert frame.image.shape == (240, 320, 3)
            assert frame.image.max() > 100
            if frame.index == 5:
                break


def test_gstreamer_is_not_shown_a_password_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    needs_program("gst-launch-1.0", "gstreamer1.0-tools")
    from edge_sdk.runtime import sources

    monkeypatch.setattr(sources, "hardware_decoders", lambda: ["gstreamer"])
    for uri, kind in (
        ("rtsp://127.0.0.1:9/a", GStreamerSource),
        ("rtsp://joe:word@127.0.0.1:9/a", NetworkSource),
        ("rtsp://127.0.0.1:9/a?decoder=software", NetworkSource),
        ("http://127.0.0.1:9/a", NetworkSource),
    ):
        assert type(open_source(uri)) is kind


def test_bad_decoders_are_named(clip: Path) -> None:
    with pytest.raises(EdgeError, match="option 'decoder' cannot be 'cuda'"):
        open_source(f"{clip}?decoder=cuda")
    for place in (clip, "http://127.0.0.1:9/a"):
        with pytest.raises(EdgeError, match="GStreamer reads rtsp://"):
            open_source(f"{place}?decoder=gstreamer")


def test_pictures_are_converted_without_further_threads() -> None:
    tasks = Path("/proc/self/task")
    before = len(list(tasks.iterdir()))
    frames = [av.VideoFrame(1280, 720, "yuv420p") for _ in range(4)]
    images = [picture(frame) for frame in frames]
    assert len(list(tasks.iterdir())) == before
    assert {image.shape for image in images} == {(720, 1280, 3)}
