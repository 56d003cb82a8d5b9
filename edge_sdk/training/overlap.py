"""How much boxes overlap. Boxes are (x1, y1, x2, y2) in pixels."""

from __future__ import annotations

import torch
from torch import Tensor


def pairwise_iou(first: Tensor, second: Tensor) -> Tensor:
    """Return the IoU [B, G, N] of every box of [B, G, 4] with every box of [B, N, 4]."""
    corners = first[:, :, None], second[:, None]
    top_left = torch.maximum(corners[0][..., :2], corners[1][..., :2])
    bottom_right = torch.minimum(corners[0][..., 2:], corners[1][..., 2:])
    shared = _area(top_left, bottom_right)
    areas = _area(first[..., :2], first[..., 2:]), _area(second[..., :2], second[..., 2:])
    return shared / (areas[0][:, :, None] + areas[1][:, None] - shared).clamp(min=1e-9)


def generalized_iou(first: Tensor, second: Tensor) -> Tensor:
    """Return the generalized IoU [P], -1..1, of boxes [P, 4] in pairs (arXiv 1902.09630)."""
    top_left = torch.maximum(first[:, :2], second[:, :2])
    bottom_right = torch.minimum(first[:, 2:], second[:, 2:])
    shared = _area(top_left, bottom_right)
    union = _area(first[:, :2], first[:, 2:]) + _area(second[:, :2], second[:, 2:]) - shared
    hull = _area(
        torch.minimum(first[:, :2], second[:, :2]), torch.maximum(first[:, 2:], second[:, 2:])
    )
    union, hull = union.clamp(min=1e-9), hull.clamp(min=1e-9)
    return shared / union - (hull - union) / hull


def _area(top_left: Tensor, bottom_right: Tensor) -> Tensor:
    return (bottom_right - top_left).clamp(min=0).prod(dim=-1)
