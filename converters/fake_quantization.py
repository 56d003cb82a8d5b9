"""Rounding to a grid and back, with gradients.

Forward, y = s (clamp(round(x / s) + z, low, high) - z). Backward, rounding counts as the
identity: the gradient of x passes where x was not clipped, and that of the step is

    dy/ds = round(x / s) - x / s   inside,   low - z or high - z   where x was clipped

(learned step size quantization, Esser et al., ICLR 2020).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def fake_quantize(
    x: Tensor, scale: Tensor, zero_point: int | Tensor, low: int, high: int
) -> Tensor:
    """Return x on the grid of integers low..high, float32.

    Parameters
    ----------
    scale : float32, of one element or to be broadcast; takes part in gradients if it wants.
    zero_point : one, or to be broadcast.
    """
    if torch.is_grad_enabled() and (x.requires_grad or scale.requires_grad):
        y: Tensor = _FakeQuantize.apply(  # type: ignore[no-untyped-call]
            x, scale, low - zero_point, high - zero_point
        )
        return y
    return _rounded(x, scale, low - zero_point, high - zero_point)


def _rounded(x: Tensor, scale: Tensor, low: int | Tensor, high: int | Tensor) -> Tensor:
    steps = x.div(scale).round_()
    return steps.clamp_(low, high).mul_(scale)  # type: ignore[arg-type]  # both of one kind


class _FakeQuantize(torch.autograd.Function):
    """The module's formulas; low and high count from the zero point."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor, low: int | Tensor, high: int | Tensor
    ) -> Tensor:
        y = _rounded(x, scale, low, high)
        ctx.save_for_backward(x, y, scale)
        ctx.ends = low, high
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        x, y, scale = ctx.saved_tensors
        low, high = ctx.ends
        steps = x / scale
        inside = (steps > low - 0.5) & (steps < high + 0.5)
        for_x = gradient * inside if ctx.needs_input_grad[0] else None
        for_scale = None
        if ctx.needs_input_grad[1]:
            slope = y / scale - steps * inside
            for_scale = (gradient * slope).sum_to_size(scale.shape)
        return for_x, for_scale, None, None
