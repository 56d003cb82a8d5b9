from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from edge_sdk.errors import EdgeError
from edge_sdk.runtime import Detector, open_source, stream

cv2 = pytest.importorskip("cv2")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A video and a picture, and links to them."""
    writer = cv2.VideoWriter(
        str(tmp_path / "own.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48)
    )
    for _ in range(3):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    cv2.imwrite(str(tmp_path / "own.png"), np.zeros((48, 64, 3), np.uint8))
    (tmp_path / "link.mp4").symlink_to("own.avi")
    (tmp_path / "lines.jsonl").symlink_to("own.png")
    os.link(tmp_path / "own.avi", tmp_path / "own-20260101T000000Z.avi")
    os.link(tmp_path / "own.avi", tmp_path / "other-2.mp4")
    return tmp_path


@pytest.mark.parametrize(
    ("source", "sink"),
    [
        ("own.avi", "own.avi"),
        ("own.avi?loop=2", "link.mp4"),
        ("link.mp4", "own.avi"),
        ("own.avi", "other.mp4"),
        ("own.avi", "own.avi?every=60&keep=1"),
        ("own.png", "lines.jsonl"),
        ("", "lines.jsonl"),
        ("*.png", "lines.jsonl"),
    ],
)
def test_what_a_source_reads_is_not_written_over(
    detector: Detector, folder: Path, source: str, sink: str
) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    uri = f"{folder}/{source}"
    with pytest.raises(EdgeError, match="which a source reads: write elsewhere"):
        stream(detector, ["test://street?size=64x64", uri], sinks=[f"{folder}/{sink}"])
    with pytest.raises(EdgeError, match="which a source reads: write elsewhere"):
        stream(detector, open_source(uri), stats=f"{folder}/{sink}", sinks=[folder / "new.jsonl"])
    assert before == {path: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("sink", ["own.avi?every=60", "new.mp4", "other-2.avi"])
def test_other_files_beside_a_source_are_written(
    detector: Detector, folder: Path, sink: str
) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    summary = stream(detector, folder / "own.avi", sinks=[f"{folder}/{sink}"])
    assert (summary.delivered, summary.failures) == (3, ())
    assert len(list(folder.iterdir())) == len(before) + 1
    assert all(path.read_bytes() == content for path, content in before.items())
