"""Every command looks at its output before it begins to work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edge_sdk.cli import application
from edge_sdk.errors import EdgeError

COMMANDS = {
    "convert": ("convert", "model.onnx"),
    "calibrate": ("calibrate", "model.onnx", "--images", "images"),
    "profile": ("profile", "model.onnx", "--calib", "m.calib", "--target", "openvino"),
    "plan": ("plan", "model.onnx", "--calib", "m.calib", "--target", "openvino"),
    "search": ("plan", "model.onnx", "--calib", "m.calib", "--target", "openvino", "--hybrid"),
    "refine": ("refine", "model.onnx", "--calib", "m.calib", "--plan", "plan.yaml",
               "--target", "openvino"),
    "build": ("build", "model.onnx", "--calib", "m.calib", "--plan", "plan.yaml",
              "--target", "openvino"),
    "deploy": ("deploy", "model.onnx", "--images", "images", "--target", "openvino"),
    "train": ("train", "--data", "test://street"),
    "finetune": ("finetune", "--data", "test://street", "--from", "run/best.safetensors"),
    "qat": ("qat", "run/model.onnx", "--calib", "m.calib", "--plan", "run/plan.yaml",
            "--data", "test://street"),
}  # fmt: skip
"""No file of theirs can be read: what is said of the output is said before it is tried."""
TRAININGS = ("train", "finetune", "qat")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with inputs that hold nothing."""
    for name in ("images", "run"):
        (tmp_path / name).mkdir()
    files = ("model.onnx", "m.calib", "plan.yaml", "images/photo.png", "run/best.safetensors",
             "run/model.onnx", "run/plan.yaml")  # fmt: skip
    for name in files:
        (tmp_path / name).write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(command: str, output: str) -> str:
    """Return what a command says of an output; all files are as before."""
    before = sorted(Path().rglob("*"))
    result: Any = CliRunner().invoke(application(), [*COMMANDS[command], "-o", output])
    assert isinstance(result.exception, EdgeError), result.output
    assert sorted(Path().rglob("*")) == before
    return str(result.exception)


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in TRAININGS])
def test_a_folder_stays(command: str) -> None:
    Path("images").rename("images.onnx")  # convert asks for such a name
    said = refusal(command, "images.onnx")
    assert "is a folder" in said or "holds something else than a bundle" in said


@pytest.mark.parametrize(
    ("command", "output"),
    [
        *((name, "model.onnx") for name in ("convert", "calibrate", "profile", "plan", "search")),
        *((name, "m.calib") for name in ("profile", "plan", "search", "refine")),
        ("refine", "plan.yaml"),
        *((name, "run") for name in ("finetune", "qat")),
    ],
)
def test_an_input_stays(command: str, output: str) -> None:
    assert "is one of the inputs" in refusal(command, output)


def test_a_picture_stays() -> None:
    assert "is a picture" in refusal("calibrate", "images/photo.png")


@pytest.mark.parametrize("command", COMMANDS)
def test_what_cannot_be_written_is_told_first(command: str) -> None:
    assert "Not a directory" in refusal(command, "m.calib/below/out.onnx")
