"""The optimizer, and how its learning rate runs."""

from __future__ import annotations

import math

import torch
from torch import nn


def optimizer_of(model: nn.Module, lr: float, weight_decay: float) -> torch.optim.AdamW:
    """Return AdamW; biases, normalization and the alphas (tensors of one axis) do not decay."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=lr, fused=True)


def learning_rate(step: int, steps: int, warmup: int, peak: float, final: float = 0.02) -> float:
    """Return the learning rate of a step: linear to `peak`, then half a cosine to
    `final` x `peak` at the last step.
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    done = (step - warmup) / max(1, steps - 1 - warmup)
    return peak * (final + (1 - final) * 0.5 * (1 + math.cos(math.pi * done)))


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of all groups."""
    for group in optimizer.param_groups:
        group["lr"] = lr
