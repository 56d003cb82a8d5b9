from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edge_sdk.converters.model_file import save_model, set_head_spec
from edge_sdk.head_spec import HeadSpec


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = "from edge_sdk.cli import main; main()"
    command = [sys.executable, "-c", program, "calibrate", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """One convolution."""
    weight = np.random.default_rng(0).normal(size=(6, 3, 1, 1)).astype(np.float32)
    infos = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, channels, 32, 32])
        for name, channels in (("images", 3), ("predictions", 6))
    ]
    nodes = [helper.make_node("Conv", ["images", "weight"], ["predictions"])]
    tensors = [numpy_helper.from_array(weight, "weight")]
    graph = helper.make_graph(nodes, "one", infos[:1], infos[1:], tensors)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    outputs = {"predictions": ("predictions",)}
    set_head_spec(made, HeadSpec("yolox", "grid", ("thing",), "images", (32, 32), outputs))
    save_model(made, tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(3):
        cv2.imwrite(str(folder / f"{index}.png"), np.full((9, 9, 3), 50 * index, np.uint8))
    (folder / "[red]broken.jpg").write_bytes(b"broken")
    return folder


def test_a_summary_and_the_next_step(model: Path, folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "model.calib"
    result = run(model, "--images", folder, "-o", output)
    assert result.returncode == 0, result.stderr
    assert "3 images used, 1 left out, 1 tensors" in result.stdout
    assert "[red]broken.jpg is corrupt" in result.stderr
    assert "edge-sdk plan" in result.stderr
    assert output.is_file()
    again = run(model, "--images", folder, "-o", output)
    assert "up to date" in again.stderr


@pytest.mark.parametrize("wrong", ["images", "model"])
def test_bad_input_is_one_sentence(model: Path, folder: Path, tmp_path: Path, wrong: str) -> None:
    if wrong == "images":
        folder = tmp_path / "empty"
        folder.mkdir()
    else:
        model.write_bytes(model.read_bytes()[:100])
    result = run(model, "--images", folder, "-o", tmp_path / "model.calib")
    assert result.returncode == 2
    assert result.stderr.lstrip().startswith("edge-sdk: ")
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "model.calib").exists()
