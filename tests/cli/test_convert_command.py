"""`edge-sdk convert` as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from edge_sdk.cli.convert import parse_size
from edge_sdk.errors import EdgeError


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    script = "from edge_sdk.cli import main; main()"
    command = [sys.executable, "-c", script, "convert", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_a_small_network(tmp_path: Path) -> None:
    from edge_sdk.converters.export import export
    from edge_sdk.converters.model_file import head_spec_of, save_model
    from edge_sdk.converters.models import Record, Stage, yolo_nas

    record = Record(
        8, (Stage(8, 1, 8), Stage(8, 1, 8), Stage(8, 1, 8), Stage(8, 1, 8)),
        (Stage(8, 1, 8), Stage(8, 1, 8), Stage(8, 1, 8), Stage(8, 1, 8)), (8, 8, 8),
    )  # fmt: skip
    save_model(export(yolo_nas(record, 2), input_size=(64, 64)), tmp_path / "in.onnx")
    output = tmp_path / "out.onnx"
    done = run(
        tmp_path / "in.onnx", "-o", output, "--names", "cat,dog", "--size", "96x64",
        "--dynamic-batch",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for words in ("blocks fused", "8 alphas folded", "largest error"):
        assert words in done.stdout
    assert "edge-sdk calibrate" in done.stderr
    spec = head_spec_of(onnx.load(output))
    assert spec.class_names == ("cat", "dog")
    assert spec.input_size == (96, 64)


def test_bad_input_is_one_sentence_and_status_2(tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"not a model")
    done = run(bad, "-o", tmp_path / "out.onnx")
    assert done.returncode == 2
    assert "bad.onnx" in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.onnx"]


@pytest.mark.parametrize(("text", "size"), [("640", (640, 640)), ("480x640", (480, 640))])
def test_sizes(text: str, size: tuple[int, int]) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "axb", "1x2x3", "-32"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(EdgeError, match="neither"):
        parse_size(text)
