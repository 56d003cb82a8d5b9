"""What a training writes: where it stands, and its best weights."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from edge_sdk.errors import EdgeError
from edge_sdk.files import replacing
from edge_sdk.head_spec import HeadSpec
from edge_sdk.training.recipe import Recipe


@dataclass(frozen=True)
class Checkpoint:
    """A training between two steps.

    Attributes
    ----------
    step : steps done.
    seconds : that they took.
    best : the best mAP50-95 so far, 0..1, or -1.
    states : state dicts of "model", "ema" and "optimizer".
    """

    recipe: Recipe
    step: int
    seconds: float
    best: float
    states: dict[str, dict[str, Any]]

    def save(self, path: Path) -> None:
        """Write the checkpoint, whole or not at all."""
        content = {
            "recipe": self.recipe.to_json(), "step": self.step, "seconds": self.seconds,
            "best": self.best, "states": self.states,
        }  # fmt: skip
        buffer = io.BytesIO()
        torch.save(content, buffer)
        with replacing(path) as beside:
            beside.write_bytes(buffer.getbuffer())

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Read what `save` wrote.

        Raises
        ------
        EdgeError
            If the file is no such checkpoint.
        """
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
            return cls(**{**content, "recipe": Recipe.from_json(content["recipe"])})
        except Exception as error:  # torch raises many kinds for a damaged file
            raise EdgeError(
                f"{path} is no checkpoint of a training, or it is damaged: delete it to begin anew."
            ) from error


def save_weights(
    path: Path, model: nn.Module, recipe: Recipe, spec: HeadSpec, facts: dict[str, Any]
) -> None:
    """Write a network's weights, with all branches, and what is needed to use them.

    The metadata of the safetensors file holds the size (`model`), the `block`, the head
    specification (names, input size, preprocessing), the `recipe`, and `facts` about the
    outcome, as JSON.
    """
    metadata = {
        "format": "edge-sdk.yolo-nas", "model": recipe.model, "block": recipe.block,
        "head_spec": spec.to_json(), "recipe": recipe.to_json(), "facts": json.dumps(facts),
    }  # fmt: skip
    state = {name: value.cpu().contiguous() for name, value in model.state_dict().items()}
    with replacing(path) as beside:
        beside.write_bytes(save(state, metadata))


def half_checkpoint(source: Path, output: Path) -> None:
    """Write a copy of a safetensors file whose floating-point weights are float16.

    Raises
    ------
    EdgeError
        If a weight is too large for float16.
    """
    with safe_open(source, "pt") as file:
        metadata = file.metadata()
        state = {name: _half(name, file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
    with replacing(output) as beside:
        beside.write_bytes(save(state, metadata))


def _half(name: str, tensor: Tensor) -> Tensor:
    half = tensor.half() if tensor.is_floating_point() else tensor
    if not torch.isfinite(half).all():
        raise EdgeError(f"The weight {name} has values beyond 65504: keep it in float32.")
    return half
