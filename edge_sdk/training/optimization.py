"""The optimizer, and how its learning rate runs."""

from __future__ import annotations

import math

import torch
from torch import nn

SCALES = "log_scales"
"""In the names of the parameters that are logarithms of quantization scales."""
SCALES_FASTER = 100.0
"""Times the learning rate, for them: a step of 1 % where a weight makes one of 1e-4."""


def optimizer_of(model: nn.Module, lr: float, weight_decay: float) -> torch.optim.AdamW:
    """Return AdamW; biases, normalization and the alphas (tensors of one axis) do not decay.

    Logarithms of quantization scales learn faster than weights, as in trained quantization
    thresholds (Jain et al., MLSys 2020).
    """
    named = list(model.named_parameters())
    scales = [p for name, p in named if name.endswith(SCALES)]
    others = [p for name, p in named if not name.endswith(SCALES)]
    groups = [
        {"params": [p for p in others if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in others if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if scales:
        groups.append({"params": scales, "weight_decay": 0.0, "faster": SCALES_FASTER})
    # A fused step does not count as a change, which a switchable network waits for.
    return torch.optim.AdamW(groups, lr=lr, fused=not scales)


def learning_rate(step: int, steps: int, warmup: int, peak: float, final: float = 0.02) -> float:
    """Return the learning rate of a step: linear to `peak`, then half a cosine to
    `final` x `peak` at the last step.
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    done = (step - warmup) / max(1, steps - 1 - warmup)
    return peak * (final + (1 - final) * 0.5 * (1 + math.cos(math.pi * done)))


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of all groups, each by its factor."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("faster", 1.0)
