"""Which anchors answer for which object: task-aligned assignment (TOOD, arXiv 2108.07755).

An anchor's alignment with an object is score^alpha * IoU^beta, of the object's own class and
of the box predicted there. The `top_k` best-aligned anchors whose centre lies in the object
answer for it; an anchor wanted by several objects goes to the one it overlaps most. Its target
score is its alignment, scaled so that an object's best anchor gets the object's best IoU.

Objects smaller than a cell of the finest map would often hold no centre; they are looked for
in a cell's width and height around their own centre.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from edge_sdk.training.overlap import pairwise_iou


class Objects(NamedTuple):
    """The labelled objects of a batch, padded to the largest number in one image.

    Attributes
    ----------
    boxes : float32 [B, G, 4], x1, y1, x2, y2 in pixels of the network input.
    class_ids : int64 [B, G].
    present : bool [B, G], false for padding.
    """

    boxes: Tensor
    class_ids: Tensor
    present: Tensor


class Assignment(NamedTuple):
    """What every anchor has to predict.

    Attributes
    ----------
    objects : int64 [B, N], index into the image's objects; meaningless where `scores` is 0.
    scores : float32 [B, N], target score of the object's class, 0 for background.
    positive : bool [B, N], whether the anchor answers for an object.
    """

    objects: Tensor
    scores: Tensor
    positive: Tensor


@torch.no_grad()
def assign(
    scores: Tensor,
    boxes: Tensor,
    points: Tensor,
    objects: Objects,
    *,
    top_k: int = 13,
    alpha: float = 1.0,
    beta: float = 6.0,
    smallest: float = 8.0,
) -> Assignment:
    """Assign anchors to objects.

    Parameters
    ----------
    scores : float32 [B, N, C], predicted class probabilities.
    boxes : float32 [B, N, 4], predicted boxes in pixels.
    points : float32 [N, 2], anchor points in pixels.
    objects : at least one slot an image (G >= 1), which may be padding.
    smallest : pixels; a side of an object that is shorter counts as this long when anchors are
        looked for. With the finest stride no object is left without an anchor.
    """
    ious = pairwise_iou(objects.boxes, boxes)
    own_scores = scores.transpose(1, 2).gather(
        1, objects.class_ids[..., None].expand(-1, -1, boxes.shape[1])
    )
    candidates = _inside(points, objects.boxes, smallest) & objects.present[..., None]
    alignment = own_scores.pow(alpha) * ious.pow(beta) * candidates

    best = alignment.topk(min(top_k, boxes.shape[1]), dim=-1).indices
    chosen = torch.zeros_like(candidates).scatter_(-1, best, True) & candidates
    ious = ious * chosen
    # Where several objects chose one anchor, only its best overlap keeps it. Chosen ones with
    # IoU 0 (before training took hold) still outrank those that did not choose the anchor.
    owner = (ious + chosen * 1e-9).argmax(dim=1)
    positive = chosen.any(dim=1)
    kept = torch.zeros_like(chosen).scatter_(1, owner[:, None], positive[:, None])

    alignment = alignment * kept
    best_alignment = alignment.amax(dim=-1, keepdim=True)
    best_iou = (ious * kept).amax(dim=-1, keepdim=True)
    target_scores = (alignment / (best_alignment + 1e-9) * best_iou).amax(dim=1)
    return Assignment(owner, target_scores, positive)


def _inside(points: Tensor, boxes: Tensor, smallest: float) -> Tensor:
    """Return whether points [N, 2] lie in boxes [B, G, 4], as bool [B, G, N]."""
    centres = (boxes[..., :2] + boxes[..., 2:]) / 2
    reach = (boxes[..., 2:] - boxes[..., :2]).clamp(min=smallest) / 2
    return ((points - centres[:, :, None]).abs() <= reach[:, :, None]).all(dim=-1)
