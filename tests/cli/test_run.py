from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2")
STREET = "test://street?size=160x96"


def edge_sdk(*arguments: object, hangup: str = "SIG_DFL") -> subprocess.Popen[str]:
    code = f"import signal; signal.signal(signal.SIGHUP, signal.{hangup}); "
    code += "from edge_sdk.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "COLUMNS": "120"},
    )  # fmt: skip


def frames_of(path: Path) -> int:
    capture, count = cv2.VideoCapture(str(path)), 0
    while capture.read()[0]:
        count += 1
    return count


def wait_for_lines(program: subprocess.Popen[str], lines: Path, count: int) -> None:
    deadline = time.monotonic() + 120
    while not (lines.exists() and lines.read_text().count("\n") > count):
        assert time.monotonic() < deadline
        assert program.poll() is None, program.communicate()[1]
        time.sleep(0.02)


def test_streams_into_every_sink(tiny_bundle: Path, tmp_path: Path) -> None:
    video, lines, stats = (tmp_path / name for name in ("out.mp4", "out.jsonl", "stats.jsonl"))
    program = edge_sdk(
        "run", tiny_bundle, "--source", f"{STREET}&frames=8", "--source", f"{STREET}&seed=1",
        "--sink", video, "--sink", lines, "--policy", "every", "--max-frames", 12,
        "--stats", stats, "--score", 0.5, "--iou", 0.6, "--threads", 1, "--target", "onnxruntime",
    )  # fmt: skip
    results, words = program.communicate(timeout=240)
    assert program.returncode == 0, words
    assert "12 results" in results
    assert "tiny.edge, onnxruntime, threads 1" in results
    assert frames_of(video) + frames_of(tmp_path / "out-2.mp4") == 12
    assert len(lines.read_text().splitlines()) == 12
    assert json.loads(stats.read_text().splitlines()[-1])["final"] is True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_leaves_a_playable_video(
    tiny_bundle: Path, tmp_path: Path, number: signal.Signals
) -> None:
    video, lines = tmp_path / "out.mp4", tmp_path / "out.jsonl"
    program = edge_sdk(
        "run", tiny_bundle, "--source", STREET, "--sink", video, "--sink", lines, "--threads", 1
    )
    wait_for_lines(program, lines, 10)
    program.send_signal(number)
    sent = time.monotonic()
    _, words = program.communicate(timeout=240)
    assert time.monotonic() - sent < 4  # a second, and what a busy machine adds
    assert program.returncode == 0, words
    assert "Traceback" not in words
    assert frames_of(video) >= 10


def test_program_outlives_its_terminal_where_nohup_wants_it(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    lines = tmp_path / "out.jsonl"
    program = edge_sdk(
        "run", tiny_bundle, "--source", STREET, "--sink", lines, "--threads", 1, hangup="SIG_IGN"
    )
    wait_for_lines(program, lines, 1)
    program.send_signal(signal.SIGHUP)
    wait_for_lines(program, lines, lines.read_text().count("\n") + 20)
    program.terminate()
    _, words = program.communicate(timeout=240)
    assert program.returncode == 0, words


def test_video_of_a_killed_program_plays(tiny_bundle: Path, tmp_path: Path) -> None:
    pytest.importorskip("av")
    video, lines = tmp_path / "out.mp4", tmp_path / "out.jsonl"
    program = edge_sdk(
        "run", tiny_bundle, "--source", f"{STREET}&fps=10", "--sink", video, "--sink", lines,
        "--threads", 1, "--track",
    )  # fmt: skip
    wait_for_lines(program, lines, 40)
    program.kill()
    program.communicate(timeout=60)
    assert frames_of(video) >= 20
    assert "track_id" in lines.read_text()


def test_failure_beside_others_that_go_on_is_status_1(tiny_bundle: Path, tmp_path: Path) -> None:
    picture = tmp_path / "broken.png"
    picture.write_bytes(b"no picture")
    program = edge_sdk(
        "run", tiny_bundle, "--source", f"{STREET}&frames=4&max_fps=15", "--source", picture,
        "--threads", 1, "--parallel", 2, "--max-staleness", 60_000, "--serve", "127.0.0.1:0",
    )  # fmt: skip
    results, words = program.communicate(timeout=240)
    assert program.returncode == 1, words
    flat = " ".join(words.split())
    assert "Failed: " in flat
    assert "broken.png is corrupt, truncated or not an image" in flat
    assert "2 results" in results
    assert "threads 1 x 2" in results
    assert re.search(r"Live page: http://127\.0\.0\.1:[1-9]\d+/", flat)
    assert "Traceback" not in words


def test_camera_that_is_not_there_is_status_2(tiny_bundle: Path) -> None:
    pytest.importorskip("av")
    uri = "rtsp://joe:hunter2@127.0.0.1:9/x"
    program = edge_sdk("run", tiny_bundle, "--source", uri, "--threads", 1)
    _, words = program.communicate(timeout=240)
    assert program.returncode == 2
    assert words == ("edge-sdk: rtsp://***@127.0.0.1:9/x cannot be opened: connection refused.\n")


def test_bad_input_is_one_sentence_and_status_2(tiny_bundle: Path, tmp_path: Path) -> None:
    video = tmp_path / "broken.mp4"
    video.write_bytes(b"no video")
    picture = tmp_path / "own.png"
    cv2.imwrite(str(picture), np.zeros((48, 64, 3), np.uint8))
    for arguments, message in (
        ((tiny_bundle, "--source", video), "broken.mp4 is not a video"),
        ((tmp_path / "none.edge", "--source", STREET), "There is no bundle at"),
        ((tiny_bundle, "--source", STREET, "--sink", "out.gif"), "Unknown sink 'out.gif'"),
        ((tiny_bundle, "--source", picture, "--stats", picture), "which a source reads"),
    ):
        program = edge_sdk("run", *arguments, "--threads", 1)
        out, words = program.communicate(timeout=240)
        assert program.returncode == 2
        assert message in words
        assert words.count("\n") == 1, words
        assert not out
    assert sorted(tmp_path.iterdir()) == [video, picture]
    assert cv2.imread(str(picture)) is not None
