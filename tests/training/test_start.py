from dataclasses import replace
from pathlib import Path

import pytest
import torch

from edge_sdk.converters.heads import yolo_nas as head
from edge_sdk.converters.models import yolo_nas
from edge_sdk.errors import EdgeError
from edge_sdk.training import Recipe
from edge_sdk.training.checkpoint import save_weights
from edge_sdk.training.start import starting_network

RECIPE = Recipe(data="test://street", input_size=(64, 64))
NAMES = ("car", "truck")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(9)
    path = tmp_path_factory.mktemp("start") / "start.safetensors"
    save_weights(path, yolo_nas("n", 2), RECIPE, head.spec(2, (64, 64), NAMES), {})
    return path


def test_the_same_classes_keep_all_weights(checkpoint: Path) -> None:
    begun = starting_network(replace(RECIPE, start=str(checkpoint)), NAMES).state_dict()
    torch.manual_seed(9)
    expected = yolo_nas("n", 2).state_dict()
    assert all(torch.equal(begun[name], value) for name, value in expected.items())


@pytest.mark.parametrize("names", [("fish", "shark"), ("truck", "car"), tuple("abcde")])
def test_other_classes_replace_the_class_predictions_alone(
    checkpoint: Path, names: tuple[str, ...]
) -> None:
    begun = starting_network(replace(RECIPE, start=str(checkpoint)), names).state_dict()
    torch.manual_seed(9)
    expected = yolo_nas("n", 2).state_dict()
    for name, value in expected.items():
        if "cls_pred" in name:
            assert begun[name].shape[0] == len(names)
        else:
            assert torch.equal(begun[name], value)
    trained = expected["heads.head1.cls_pred.weight"]
    assert not torch.equal(begun["heads.head1.cls_pred.weight"][:2], trained)
    assert torch.allclose(begun["heads.head1.cls_pred.bias"], torch.tensor(-4.595), atol=1e-3)


def test_another_size_is_refused(checkpoint: Path) -> None:
    with pytest.raises(EdgeError, match="is a YOLO-NAS N of qarepvgg blocks, not S"):
        starting_network(replace(RECIPE, start=str(checkpoint), model="s"), NAMES)
