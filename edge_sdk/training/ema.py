"""The average of the weights over the last part of a training, which detects better."""

from __future__ import annotations

import copy

import torch
from torch import nn


class Ema:
    """An exponential moving average of a network's parameters and running statistics.

    Attributes
    ----------
    model : the averaged network, in evaluation mode.
    decay : of the average, once enough steps are done.
    """

    def __init__(self, model: nn.Module, steps: int) -> None:
        """Begin with the network as it is; the average reaches over a tenth of all steps, but
        not over more than a thousand.
        """
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = 1 - 1 / _memory(steps, 1000)

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take in the network after a step (0, 1, ...); early on the average is shorter."""
        decay = min(self.decay, (1 + step) / (10 + step))
        averaged, current = [], []
        own = self.model.state_dict()
        for name, value in model.state_dict().items():
            if value.dtype.is_floating_point:
                averaged.append(own[name])
                current.append(value)
            else:
                own[name].copy_(value)
        torch._foreach_lerp_(averaged, current, 1 - decay)


def set_batch_norm_memory(model: nn.Module, steps: int) -> None:
    """Let running statistics reach over a tenth of all steps, but not over more than 1/0.03."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1 / _memory(steps, 1 / 0.03)


def _memory(steps: int, longest: float) -> float:
    """Return how many steps an average reaches over: a tenth of all, within 1..longest."""
    return min(max(steps / 10, 1.0), longest)
