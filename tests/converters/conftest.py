"""Small networks with lively statistics, so that a wrong fusion shows."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from edge_sdk.converters.models import Record, Stage, YoloNAS, yolo_nas

TINY = Record(
    stem=8,
    backbone=(Stage(16, 2, 8, True), Stage(16, 3, 8), Stage(24, 2, 8, True), Stage(32, 2, 16)),
    neck=(Stage(16, 2, 8), Stage(16, 2, 8), Stage(16, 2, 8), Stage(32, 2, 8)),
    heads=(16, 16, 16),
)


def liven(model: nn.Module) -> nn.Module:
    """Draw statistics and scales that differ from their neutral initial values."""
    generator = torch.Generator().manual_seed(0)

    def draw(like: torch.Tensor, low: float, high: float) -> torch.Tensor:
        return torch.rand(like.shape, generator=generator) * (high - low) + low

    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith("running_var"):
                tensor.copy_(draw(tensor, 0.5, 2.0))
            elif name.endswith(("running_mean", "bias")):
                tensor.copy_(draw(tensor, -0.3, 0.3))
            elif name.endswith("alpha"):
                tensor.copy_(draw(tensor, 0.9, 1.1))
            elif tensor.ndim == 1 and name.endswith("weight"):
                tensor.copy_(draw(tensor, -0.2, 1.5))
    return model.eval()


@pytest.fixture
def tiny() -> Callable[..., YoloNAS]:
    """Give a maker of a YOLO-NAS of a few thousand weights, with every kind of layer."""

    def make(num_classes: int = 3, block: str = "qarepvgg") -> YoloNAS:
        torch.manual_seed(0)
        model = liven(yolo_nas(TINY, num_classes, block))
        assert isinstance(model, YoloNAS)
        return model

    return make


@pytest.fixture
def lively() -> Callable[[nn.Module], nn.Module]:
    """Give the function that draws statistics."""
    return liven
