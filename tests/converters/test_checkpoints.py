"""Checkpoints as super-gradients writes them, our own, and malformed ones."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import save_file

from edge_sdk.converters.checkpoints import load_checkpoint
from edge_sdk.converters.heads import yolo_nas as head
from edge_sdk.converters.models import yolo_nas
from edge_sdk.errors import EdgeError


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    """A state dict of N with 3 classes, with the unused placeholders of the originals."""
    torch.manual_seed(0)
    tensors = yolo_nas("n", num_classes=3).state_dict()
    for key in [key for key in tensors if key.endswith("branch_3x3.conv.weight")]:
        block = key.removesuffix("branch_3x3.conv.weight")
        tensors[f"{block}rbr_reparam.weight"] = torch.randn(2, 2, 3, 3)
        tensors[f"{block}rbr_reparam.bias"] = torch.randn(2)
    return tensors


def parallel(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"module.{key}": tensor for key, tensor in state.items()}


WRAPPED = {
    "bare": lambda state: state,
    "net": lambda state: {"net": state, "acc": torch.tensor(0.5), "epoch": 3},
    "ema_net": lambda state: {"ema_net": state, "net": {"other": torch.zeros(1)}},
    "module": lambda state: {"net": parallel(state)},
}


@pytest.mark.parametrize("wrapper", WRAPPED)
def test_every_wrapper_is_unpacked(wrapper: str, state, tmp_path: Path) -> None:
    path = tmp_path / "average_model.pth"
    torch.save(WRAPPED[wrapper](state), path)
    loaded = load_checkpoint(path)
    assert (loaded.size, loaded.model.num_classes, loaded.model.training) == ("n", 3, False)
    found = loaded.model.state_dict()
    assert set(found) == {key for key in state if "rbr_reparam" not in key}
    assert all(torch.equal(found[key], state[key]) for key in found)


@pytest.mark.parametrize("size", ["s", "m", "l"])
def test_the_size_is_recognized_from_the_shapes(size: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(yolo_nas(size, num_classes=1).state_dict(), path)
    loaded = load_checkpoint(path)
    assert (loaded.size, loaded.model.num_classes) == (size, 1)


def test_our_own_file_brings_its_contract_and_its_block(tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    spec = head.spec(2, (96, 128), ("cat", "dog"))
    model = yolo_nas("n", num_classes=2, block="repvgg")
    save_file(model.state_dict(), path, {"head_spec": spec.to_json()})
    loaded = load_checkpoint(path)
    assert loaded.spec == spec
    assert set(loaded.model.state_dict()) == set(model.state_dict())


class Bomb:
    """Leaves a trace if unpickling runs its code."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def test_a_pickled_object_is_refused_by_name_and_never_runs(state, tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    path = tmp_path / "evil.pth"
    torch.save({"net": state, "extra": Bomb(trace)}, path)
    with pytest.raises(EdgeError, match=r"evil\.pth holds Python objects .*pathlib"):
        load_checkpoint(path)
    assert not trace.exists()


def test_objects_of_super_gradients_are_ignored(state, tmp_path: Path, monkeypatch) -> None:
    """Its training checkpoints keep the preprocessing of the data set as live objects."""
    module = ModuleType("super_gradients.training.processing")

    class Processing:
        def __init__(self, steps) -> None:
            self.steps = steps

    Processing.__module__ = module.__name__
    Processing.__qualname__ = "Processing"
    module.Processing = Processing
    for name in ("super_gradients", "super_gradients.training", module.__name__):
        monkeypatch.setitem(sys.modules, name, module)
    path = tmp_path / "ckpt_best.pth"
    content = {"image_processor": Processing([Processing([1, 2])]), "conf": 0.25}
    torch.save({"ema_net": state, "processing_params": content}, path)
    monkeypatch.undo()
    assert load_checkpoint(path).model.num_classes == 3


def test_every_missing_and_unexpected_key_is_named(state, tmp_path: Path) -> None:
    path = tmp_path / "odd.pth"
    odd = dict(state)
    missing = ["backbone.stage1.blocks.bottlenecks.0.alpha", "neck.neck1.conv.bn.weight"]
    for key in missing:
        del odd[key]
    odd["head.extra"] = torch.zeros(1)
    odd["heads.head2.reg_pred.bias"] = torch.zeros(32)
    torch.save(odd, path)
    with pytest.raises(EdgeError) as caught:
        load_checkpoint(path)
    message = str(caught.value)
    for word in (*missing, "unexpected head.extra", "heads.head2.reg_pred.bias is [32], not [68]"):
        assert word in message
    assert "rbr_reparam" not in message


def test_a_prefix_that_only_some_keys_have_stays(state, tmp_path: Path) -> None:
    path = tmp_path / "mixed.pth"
    torch.save({**parallel(state), "other": torch.zeros(1)}, path)
    with pytest.raises(EdgeError, match="no YOLO-NAS"):
        load_checkpoint(path)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_truncated_file_is_named(suffix: str, state, tmp_path: Path) -> None:
    path = tmp_path / f"cut{suffix}"
    if suffix == ".pth":
        torch.save(state, path)
    else:
        save_file({key: value.contiguous() for key, value in state.items()}, path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(EdgeError, match=rf"cut\{suffix} is not a .*truncated"):
        load_checkpoint(path)


def test_old_style_pickles_that_run_code_are_refused(tmp_path: Path) -> None:
    trace, path = tmp_path / "ran", tmp_path / "old.pth"
    path.write_bytes(pickle.dumps({"net": Bomb(trace)}))
    with pytest.raises(EdgeError, match=r"old\.pth"):
        load_checkpoint(path)
    assert not trace.exists()


@pytest.mark.parametrize("content", [{"epoch": 3}, [1, 2], {"net": {"weight": torch.zeros(2)}}])
def test_other_contents_are_refused(content, tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save(content, path)
    with pytest.raises(EdgeError, match=r"other\.pth"):
        load_checkpoint(path)


def test_the_state_of_a_training_is_not_its_result(tmp_path: Path) -> None:
    torch.save({"recipe": "{}", "step": 3, "states": {"model": {}}}, tmp_path / "last.pt")
    with pytest.raises(EdgeError, match=r"last\.pt is where a training goes on.*best\.safetensors"):
        load_checkpoint(tmp_path / "last.pt")


def test_a_graph_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match=r"a\.onnx is a graph, not a checkpoint"):
        load_checkpoint(tmp_path / "a.onnx")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for name in ("none.pth", "none.safetensors"):
        with pytest.raises(EdgeError, match=name):
            load_checkpoint(tmp_path / name)
