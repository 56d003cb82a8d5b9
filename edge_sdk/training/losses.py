"""The loss of PP-YOLOE (arXiv 2203.16250), on the raw outputs of a YOLO-NAS network.

Varifocal loss on the class scores (arXiv 2008.13367), generalized IoU and distribution focal
loss (arXiv 2006.04388) on the boxes of positive anchors, weighted by their target scores. Each
sum is divided by the sum of all target scores of the batch (at least 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from edge_sdk.training.anchors import (
    Anchors,
    anchors_of,
    boxes_around,
    distances_to,
    flatten_maps,
    mean_distances,
)
from edge_sdk.training.assigner import Objects, assign
from edge_sdk.training.overlap import generalized_iou


class Losses(NamedTuple):
    """The weighted parts of the loss, to be added; scalars.

    Attributes
    ----------
    classes : varifocal loss.
    boxes : generalized IoU loss.
    distances : distribution focal loss.
    """

    classes: Tensor
    boxes: Tensor
    distances: Tensor


@dataclass(frozen=True)
class DetectionLoss:
    """The loss, called with a network's outputs and the labelled objects.

    Attributes
    ----------
    strides : pixels a cell of each output map, finest first.
    """

    strides: tuple[int, ...] = (8, 16, 32)
    class_weight: float = 1.0
    box_weight: float = 2.5
    distance_weight: float = 0.5

    def __call__(
        self, classes: Sequence[Tensor], distances: Sequence[Tensor], objects: Objects
    ) -> Losses:
        """Return the loss of a batch, computed in float32.

        Parameters
        ----------
        classes : maps of class logits [B, C, H, W], one a stride.
        distances : maps of distance logits [B, 4 * (reg_max + 1), H, W], one a stride.
        """
        anchors = anchors_of(classes, self.strides)
        logits, distributions = flatten_maps(classes), flatten_maps(distances)
        with torch.no_grad():
            boxes = boxes_around(anchors.points, mean_distances(distributions) * anchors.strides)
            assignment = assign(logits.sigmoid(), boxes, anchors.points, objects)
        images, cells = assignment.positive.nonzero(as_tuple=True)
        targets = assignment.objects[images, cells]
        scores = assignment.scores[images, cells]
        score_sum = scores.sum().clamp(min=1)

        class_targets = torch.zeros_like(logits)
        class_targets[images, cells, objects.class_ids[images, targets]] = scores
        positive = torch.zeros_like(logits, dtype=torch.bool)
        positive[images, cells, objects.class_ids[images, targets]] = True
        box_loss, distance_loss = _box_losses(
            distributions[images, cells],
            Anchors(anchors.points[cells], anchors.strides[cells]),
            objects.boxes[images, targets],
            scores,
        )
        return Losses(
            self.class_weight * varifocal(logits, class_targets, positive) / score_sum,
            self.box_weight * box_loss / score_sum,
            self.distance_weight * distance_loss / score_sum,
        )


def varifocal(
    logits: Tensor, targets: Tensor, positive: Tensor, *, alpha: float = 0.75, gamma: float = 2.0
) -> Tensor:
    """Return the summed varifocal loss: cross-entropy with soft targets, where a positive
    weighs its target score and background weighs alpha * probability^gamma.
    """
    cross_entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    weights = torch.where(positive, targets, alpha * logits.sigmoid().pow(gamma))
    return (cross_entropy * weights).sum()


def distribution_focal(distributions: Tensor, distances: Tensor) -> Tensor:
    """Return the distribution focal loss [P], the mean over the four sides.

    Parameters
    ----------
    distributions : logits [P, 4 * (reg_max + 1)].
    distances : true distances [P, 4] in cells, clipped here to what the bins can express.
    """
    by_side = distributions.reshape(len(distributions), 4, distributions.shape[-1] // 4)
    distances = distances.clamp(0, by_side.shape[-1] - 1 - 0.01)
    below = distances.long()
    share_above = distances - below
    logs = by_side.log_softmax(dim=-1)
    log_below = logs.gather(-1, below[..., None])[..., 0]
    log_above = logs.gather(-1, below[..., None] + 1)[..., 0]
    cross_entropy: Tensor = -(log_below * (1 - share_above) + log_above * share_above)
    return cross_entropy.mean(dim=-1)


def _box_losses(
    distributions: Tensor, anchors: Anchors, boxes: Tensor, scores: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the summed box and distance losses of positive anchors, weighted by `scores`.

    Without positives both are a zero that is still connected to the network.
    """
    predicted = boxes_around(anchors.points, mean_distances(distributions) * anchors.strides)
    box_losses = 1 - generalized_iou(predicted, boxes)
    cells = distances_to(boxes, anchors.points) / anchors.strides
    return (box_losses * scores).sum(), (distribution_focal(distributions, cells) * scores).sum()
