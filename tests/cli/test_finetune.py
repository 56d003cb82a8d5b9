from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from edge_sdk.cli import main
from edge_sdk.converters.heads import yolo_nas as head
from edge_sdk.converters.models import yolo_nas
from edge_sdk.training import Recipe, finetuning
from edge_sdk.training.checkpoint import Checkpoint, save_weights


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A YOLO folder of four pictures to learn and two to validate on, with bright squares."""
    root = tmp_path_factory.mktemp("squares")
    random = np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 2)):
        for part in ("images", "labels"):
            (root / split / part).mkdir(parents=True)
        for index in range(count):
            image = random.integers(0, 90, (48, 80, 3), dtype=np.uint8)
            cv2.rectangle(image, (20, 10), (59, 39), (60, 220, 240), -1)
            cv2.imwrite(str(root / split / "images" / f"{index}.png"), image)
            (root / split / "labels" / f"{index}.txt").write_text("0 0.5 0.52 0.5 0.62\n")
    (root / "data.yaml").write_text("train: train/images\nval: val/images\nnames: [square]\n")
    return root


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("start") / "start.safetensors"
    spec = head.spec(2, (64, 64), ("car", "truck"))
    save_weights(path, yolo_nas("n", 2), Recipe("test://street"), spec, {})
    return path


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["edge-sdk", "finetune", *map(str, arguments)])
    with pytest.raises(SystemExit) as exit_:
        main()
    return int(exit_.value.code or 0)


def tune(monkeypatch: pytest.MonkeyPatch, data: Path, output: Path, *more: object) -> int:
    settings = ("--size", 64, "--epochs", 1, "--batch", 2, "--threads", 1, "--bf16")
    return run(monkeypatch, "--data", data, "-o", output, *settings, *more)


def next_command(text: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith("Next: ")]
    return shlex.split(line.removeprefix("Next: "))


def test_it_ends_with_the_next_command(
    data: Path,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "my run"
    assert tune(monkeypatch, data, output, "--from", checkpoint) == 0
    shown, said = capsys.readouterr()
    assert f"Begins with {checkpoint}" in said
    assert "of these without objects" in shown
    assert "2 steps of 2 images" in said
    assert f"{output / 'predictions.jpg'} (labels are white" in shown
    assert next_command(said)[:5] == [
        "edge-sdk", "deploy", str(output / "best.safetensors"), "--images",
        str(output / "images.txt"),
    ]  # fmt: skip
    listed = (output / "images.txt").read_text().split()
    assert listed == [str(data / "train/images" / f"{index}.png") for index in range(4)]
    assert cv2.imread(str(output / "predictions.jpg")) is not None
    recipe = Checkpoint.load(output / "last.pt").recipe
    assert (recipe.start, recipe.input_size, recipe.bf16) == (str(checkpoint), (64, 64), True)

    assert tune(monkeypatch, data, output, "--from", checkpoint, "--seed", 1) == 2
    assert "holds a training with another seed" in capsys.readouterr().err


@pytest.mark.slow
def test_the_next_command_works(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert tune(monkeypatch, data, tmp_path / "run", "--from", "scratch") == 0
    program = [sys.executable, "-c", "from edge_sdk.cli import main; main()"]
    command = [*program, *next_command(capsys.readouterr().err)[1:]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "run.edge" / "manifest.json").read_text())
    assert "square" in json.dumps(manifest)


@pytest.mark.slow
def test_a_killed_training_ends_like_one_that_was_not(data: Path, tmp_path: Path) -> None:
    command = [
        sys.executable, "-c", "from edge_sdk.cli import main; main()", "finetune", "--data",
        str(data), "--from", "scratch", "--size", "64", "--epochs", "4", "--batch", "2",
        "--threads", "1", "-o",
    ]  # fmt: skip
    subprocess.run([*command, tmp_path / "whole"], capture_output=True, check=True)
    checkpoint = tmp_path / "parts" / "last.pt"
    with subprocess.Popen([*command, tmp_path / "parts"], stderr=subprocess.DEVNULL) as killed:
        while not checkpoint.exists() and killed.poll() is None:
            time.sleep(0.01)
        killed.kill()
    assert killed.returncode == -signal.SIGKILL
    assert Checkpoint.load(checkpoint).step < 8
    subprocess.run([*command, tmp_path / "parts"], capture_output=True, check=True)
    whole, parts = (load_file(tmp_path / run / "best.safetensors") for run in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_without_a_foundation_it_says_that_it_begins_at_random(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(finetuning, "FOUNDATION", tmp_path / "none.safetensors")
    assert tune(monkeypatch, data, tmp_path / "run") == 0
    said = capsys.readouterr().err
    assert "Note: The foundation checkpoint is not at" in said
    assert "The weights begin at random" in said
    assert Checkpoint.load(tmp_path / "run" / "last.pt").recipe.start is None

    assert tune(monkeypatch, data, tmp_path / "other", "--from", "foundation") == 2
    assert "none.safetensors" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_it_begins_with_the_foundation(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert tune(monkeypatch, data, tmp_path / "run") == 0
    assert f"Begins with {finetuning.FOUNDATION}" in capsys.readouterr().err
    recipe = Checkpoint.load(tmp_path / "run" / "last.pt").recipe
    assert (recipe.start, recipe.model) == (str(finetuning.FOUNDATION), "n")


def test_a_size_without_a_foundation(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = ("--from", "foundation", "--model", "m")
    assert tune(monkeypatch, data, tmp_path / "run", *given) == 2
    assert "is a YOLO-NAS-N, there is none of M" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "s"), "is a YOLO-NAS-N, not S"),
        (("--epochs", "0"), "number of epochs must be at least 1"),
        (("--batch", "0"), "batch must be at least 1"),
        (("--size", "100"), "multiples of 32"),
        (("--lr", "-1"), "learning rate must be above 0"),
        (("--data", "nowhere"), "nowhere does not exist"),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(
    arguments: tuple[str, ...],
    message: str,
    data: Path,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert tune(monkeypatch, data, tmp_path / "run", "--from", checkpoint, *arguments) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert not (tmp_path / "run").exists()


def test_a_file_that_is_no_checkpoint(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"no weights")
    assert tune(monkeypatch, data, tmp_path / "run", "--from", other) == 2
    assert "other.safetensors" in capsys.readouterr().err
