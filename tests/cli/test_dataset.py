from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from edge_sdk.datasets import open_dataset


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = "from edge_sdk.cli import main; main()"
    command = [sys.executable, "-c", program, "dataset", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_writes_a_data_set(tmp_path: Path) -> None:
    done = run("test://street?size=128x96&seed=1", "-o", tmp_path / "set", "--frames", "2")
    assert done.returncode == 0, done.stderr
    assert "2 images" in done.stdout
    assert len(open_dataset(tmp_path / "set").images) == 2


def test_bad_input_is_one_sentence(tmp_path: Path) -> None:
    for address, named in (("test://street?size=big", "size=big"), ("street", "'street'")):
        done = run(address, "-o", tmp_path / "set")
        assert done.returncode == 2
        assert named in done.stderr
        assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_says_what_is_in_a_data_set(tmp_path: Path) -> None:
    run("test://street?size=128x96&seed=1", "-o", tmp_path / "set", "--frames", "2")
    yaml = (tmp_path / "set" / "data.yaml").read_text()
    done = run(tmp_path / "set")
    assert done.returncode == 2
    assert "no split 'train'" in done.stderr
    (tmp_path / "set" / "data.yaml").write_text(f"train: images/val\n{yaml}")
    done = run(tmp_path / "set")
    assert done.returncode == 0, done.stderr
    assert "images" in done.stdout
    assert "Warning: val: 2 of 2 images are also in train" in done.stdout


def test_frames_need_a_folder() -> None:
    done = run("test://street")
    assert done.returncode == 2
    assert "Give the folder to write test://street to: -o DIR." in done.stderr
