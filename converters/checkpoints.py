"""YOLO-NAS checkpoints: super-gradients' .pth files and the SDK's own .safetensors.

Checkpoints are untrusted: torch reads them with `weights_only`, so that no code of theirs runs.
Training checkpoints of super-gradients also hold objects of its classes, which say nothing about
the weights; an inert class stands in for each of them. Any other object is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edge_sdk.converters.models import RECORDS, YoloNAS, yolo_nas
from edge_sdk.errors import EdgeError
from edge_sdk.head_spec import HeadSpec

WRAPPERS = ("ema_net", "net")
PLACEHOLDER = "rbr_reparam"
IGNORED_PACKAGES = ("super_gradients", "omegaconf")
CLASS_KEY = "heads.head1.cls_pred.weight"
WIDTH_KEY = "backbone.stage1.blocks.conv1.conv.weight"
_WIDTHS = {
    size: (record.backbone[0].hidden, record.backbone[0].channels)
    for size, record in RECORDS.items()
}
"""Width of the first bottlenecks and of their stage: no two sizes have the same."""


class Ignored:
    """Stands for an object of no interest: takes any state, has no behaviour."""

    def __init__(self, *args: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds.

    Attributes
    ----------
    model : in evaluation mode.
    size : "n", "s", "m" or "l".
    block : "qarepvgg" or "repvgg".
    spec : the contract that the SDK's own training wrote (names, input size), if it did.
    """

    model: YoloNAS
    size: str
    block: str
    spec: HeadSpec | None = None


def load_checkpoint(path: Path | str) -> Checkpoint:
    """Read a .pth, .pt or .safetensors file; size, block and classes come from the shapes.

    Raises
    ------
    EdgeError
        If the file cannot be read, holds other objects than weights, or is no YOLO-NAS.
    """
    path = Path(path)
    if path.suffix == ".onnx":
        raise EdgeError(
            f"{path} is a graph, not a checkpoint: give the .safetensors or .pth file whose "
            "weights it was made of."
        )
    if path.suffix == ".safetensors":
        state, facts = _read_safetensors(path)
    else:
        state, facts = _unwrapped(_read_pickle(path), path), {}
    spec = HeadSpec.from_json(facts["head_spec"]) if "head_spec" in facts else None
    state = {key: value for key, value in state.items() if PLACEHOLDER not in key.split(".")}
    size, block, model = _network_for(state, path)
    model.load_state_dict(state)
    return Checkpoint(model.eval(), size, block, spec)


def _read_pickle(path: Path) -> Any:
    try:
        strangers = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        refused = [name for name in strangers if name.split(".")[0] not in IGNORED_PACKAGES]
        if refused:
            raise EdgeError(
                f"{path} holds Python objects beside weights ({', '.join(sorted(refused))}) and is "
                "not loaded, since unpickling them would run code: save the state dict alone."
            )
        with torch.serialization.safe_globals([(Ignored, name) for name in strangers]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise EdgeError(f"Cannot read {path}: {error.strerror or error}.") from error
    except EdgeError:
        raise
    except Exception as error:  # torch raises anything on a damaged file
        raise EdgeError(
            f"{path} is not a checkpoint that torch can read, or it is truncated "
            f"({_first_line(error)}): copy or download it again."
        ) from error


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    import safetensors

    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except OSError as error:
        raise EdgeError(f"Cannot read {path}: {error.strerror or error}.") from error
    except safetensors.SafetensorError as error:
        raise EdgeError(
            f"{path} is not a safetensors file, or it is truncated ({_first_line(error)}): "
            "copy or download it again."
        ) from error


def _unwrapped(content: Any, path: Path) -> dict[str, Tensor]:
    """Return the state dict inside of a checkpoint, without the prefix of parallel training."""
    state = content
    if isinstance(content, Mapping):
        if {"recipe", "states"} <= set(content):
            raise EdgeError(
                f"{path} is where a training goes on, not its result: give the best.safetensors "
                "beside it."
            )
        state = next((content[key] for key in WRAPPERS if key in content), content)
    if not isinstance(state, Mapping) or not any(isinstance(v, Tensor) for v in state.values()):
        raise EdgeError(
            f"{path} holds no state dict (a mapping of names to tensors), neither bare nor under "
            f"{' or '.join(map(repr, WRAPPERS))}."
        )
    tensors = {str(key): value for key, value in state.items() if isinstance(value, Tensor)}
    if all(key.startswith("module.") for key in tensors):
        tensors = {key.removeprefix("module."): value for key, value in tensors.items()}
    return tensors


def _network_for(state: dict[str, Tensor], path: Path) -> tuple[str, str, YoloNAS]:
    """Return the size, block and network that the shapes belong to."""
    if CLASS_KEY not in state:
        raise EdgeError(
            f"{path} is no YOLO-NAS checkpoint: it has no {CLASS_KEY}. "
            "Export other networks to ONNX and convert that file."
        )
    shape = list(state[WIDTH_KEY].shape) if WIDTH_KEY in state else None
    size = next((size for size, (h, c) in _WIDTHS.items() if shape == [h, c, 1, 1]), None)
    if size is None:
        raise EdgeError(
            f"{path} fits no YOLO-NAS of size n, s, m or l: {WIDTH_KEY} is {shape or 'missing'}."
        )
    block = "repvgg" if any(".branch_1x1.bn." in key for key in state) else "qarepvgg"
    model = yolo_nas(size, len(state[CLASS_KEY]), block)
    problems = list(_differences(model.state_dict(), state))
    if problems:
        raise EdgeError(
            f"{path} looks like YOLO-NAS {size.upper()}, with these differences: "
            f"{'; '.join(problems)}."
        )
    return size, block, model


def _differences(expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> Iterator[str]:
    for key, tensor in expected.items():
        if key not in state:
            yield f"missing {key}"
        elif state[key].shape != tensor.shape:
            yield f"{key} is {list(state[key].shape)}, not {list(tensor.shape)}"
    yield from (f"unexpected {key}" for key in state if key not in expected)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
