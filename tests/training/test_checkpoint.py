from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch

from edge_sdk.converters.checkpoints import load_checkpoint
from edge_sdk.converters.heads import yolo_nas as head
from edge_sdk.converters.models import YoloNAS, yolo_nas
from edge_sdk.errors import EdgeError
from edge_sdk.training import Recipe, half_checkpoint
from edge_sdk.training.checkpoint import Checkpoint, save_weights

RECIPE = Recipe("test://street", block="repvgg", input_size=(96, 160))


@pytest.fixture(scope="module")
def model() -> YoloNAS:
    torch.manual_seed(0)
    return yolo_nas("n", 2, "repvgg")


@pytest.fixture
def weights(model: YoloNAS, tmp_path: Path) -> Path:
    spec = head.spec(2, (96, 160), ("cat", "dog"))
    save_weights(tmp_path / "best.safetensors", model, RECIPE, spec, {"map": 0.5})
    return tmp_path / "best.safetensors"


def test_convert_reads_what_training_writes(model: YoloNAS, weights: Path) -> None:
    loaded = load_checkpoint(weights)
    assert loaded.size == "n"
    assert loaded.spec is not None
    assert (loaded.spec.class_names, loaded.spec.input_size) == (("cat", "dog"), (96, 160))
    state = loaded.model.state_dict()
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())


def test_half_the_bytes_hold_nearly_the_same_weights(model: YoloNAS, weights: Path) -> None:
    half = weights.with_name("half.safetensors")
    half_checkpoint(weights, half)
    assert half.stat().st_size < 0.51 * weights.stat().st_size
    loaded = load_checkpoint(half)
    assert loaded.spec == load_checkpoint(weights).spec
    for name, value in loaded.model.state_dict().items():
        torch.testing.assert_close(value, model.state_dict()[name], rtol=1e-3, atol=1e-7)


def test_a_weight_that_float16_cannot_hold_is_named(model: YoloNAS, tmp_path: Path) -> None:
    model.backbone.stem.conv.branch_3x3.bn.running_var.fill_(1e6)
    save_weights(tmp_path / "a.safetensors", model, RECIPE, head.spec(2, (96, 160)), {})
    with pytest.raises(EdgeError, match=r"branch_3x3\.bn\.running_var has values beyond 65504"):
        half_checkpoint(tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    assert not (tmp_path / "b.safetensors").exists()


def test_a_full_disk_leaves_the_last_checkpoint_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.pt"
    Checkpoint(RECIPE, 5, 1.0, 0.25, {"model": {}}).save(path)

    def full(self: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(EdgeError, match=r"Cannot write .*last\.pt: No space left"):
        Checkpoint(RECIPE, 6, 1.0, 0.25, {"model": {}}).save(path)
    monkeypatch.undo()
    assert Checkpoint.load(path) == Checkpoint(RECIPE, 5, 1.0, 0.25, {"model": {}})
    assert list(tmp_path.iterdir()) == [path]
