"""The grid of anchor points, and boxes from the distances predicted at them.

Every cell of every output map has one anchor point, its centre. The head predicts, for each of
the four sides (left, top, right, bottom), a distribution over the distances 0..reg_max in
cells (distribution focal loss, arXiv 2006.04388); a distance is its mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Anchors(NamedTuple):
    """Anchor points of all output maps, finest first, row by row.

    Attributes
    ----------
    points : float32 [N, 2], x and y in pixels of the network input.
    strides : float32 [N, 1], pixels a cell.
    """

    points: Tensor
    strides: Tensor


def anchors_of(maps: Sequence[Tensor], strides: Sequence[int]) -> Anchors:
    """Return the anchors of output maps [B, C, H, W], one map a stride."""
    points, cell_sizes = [], []
    for cells, stride in zip(maps, strides, strict=True):
        height, width = cells.shape[-2:]
        y, x = torch.meshgrid(
            torch.arange(height, device=cells.device),
            torch.arange(width, device=cells.device),
            indexing="ij",
        )
        points.append((torch.stack((x, y), dim=-1).reshape(-1, 2) + 0.5) * stride)
        cell_sizes.append(torch.full((height * width, 1), float(stride), device=cells.device))
    return Anchors(torch.cat(points), torch.cat(cell_sizes))


def flatten_maps(maps: Sequence[Tensor]) -> Tensor:
    """Return maps [B, C, H, W] as one float32 tensor [B, N, C], in the order of `Anchors`."""
    flat = [cells.permute(0, 2, 3, 1).flatten(1, 2) for cells in maps]
    return torch.cat(flat, dim=1).float()


def mean_distances(distributions: Tensor) -> Tensor:
    """Return the means [..., 4], in cells, of distributions [..., 4 * (reg_max + 1)] (logits)."""
    by_side = distributions.reshape(*distributions.shape[:-1], 4, distributions.shape[-1] // 4)
    cells = torch.arange(by_side.shape[-1], dtype=by_side.dtype, device=by_side.device)
    means: Tensor = by_side.softmax(dim=-1) @ cells
    return means


def boxes_around(points: Tensor, distances: Tensor) -> Tensor:
    """Return boxes [..., 4] (x1, y1, x2, y2) from points [..., 2] and distances in pixels."""
    return torch.cat((points - distances[..., :2], points + distances[..., 2:]), dim=-1)


def distances_to(boxes: Tensor, points: Tensor) -> Tensor:
    """Return the distances [..., 4], in pixels, from points to the sides of their boxes."""
    return torch.cat((points - boxes[..., :2], boxes[..., 2:] - points), dim=-1)
