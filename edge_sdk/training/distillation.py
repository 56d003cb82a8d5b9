"""How far one network's predictions are from another's: the loss of distillation.

A network says of every anchor and class, with probability p, that an object is there, and if so,
of each of its four sides, where it is: a distribution d over distances in cells. All of it
together is one distribution, and the divergence of a student's (q, e) from a teacher's (p, d) is,
by the chain rule of relative entropy,

    KL = sum over anchors and classes of  p log(p / q) + (1 - p) log((1 - p) / (1 - q))
                                          + p x (sum over the sides of KL(d, e))

So nothing has to be weighed. Sides count as much as an object is likely. Scores count little in
the background, where most anchors are: for logits that differ by a small x the first line is
p (1 - p) x^2 / 2. The gradient for a logit is q - p, and for those of a side p (e - d): zero where
student and teacher agree, whatever the labels say.

Distillation: Hinton et al., 2015 (arXiv 1503.02531); of distances: Zheng et al., CVPR 2022 (arXiv
2102.12252); as the only loss of training with rounding: Zhao and Zhao, 2024 (arXiv 2403.11106).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from edge_sdk.training.anchors import flatten_maps

Maps = tuple[Sequence[Tensor], Sequence[Tensor]]
"""Class logits [B, C, H, W] and distance logits [B, 4 * (reg_max + 1), H, W], a map a stride."""


class Divergence(NamedTuple):
    """The parts of the divergence, to be added, in nats a detection of the teacher; scalars.

    Attributes
    ----------
    classes : of the scores.
    distances : of the sides.
    """

    classes: Tensor
    distances: Tensor


def divergence(student: Maps, teacher: Maps) -> Divergence:
    """Return the divergence of a student from a teacher on a batch, computed in float32.

    Both sums are divided by the number of detections that the teacher expects: the sum of its
    probabilities, at least 1.

    Parameters
    ----------
    student, teacher : what the networks return for the same images; only the student's take part
        in gradients.
    """
    probabilities = flatten_maps(teacher[0]).detach().sigmoid()
    expected = probabilities.sum().clamp(min=1)
    scores = _relative_entropy(_scores(teacher[0]).detach(), _scores(student[0]))
    sides = _relative_entropy(_sides(teacher[1]).detach(), _sides(student[1])).sum(dim=-1)
    return Divergence(scores.sum() / expected, (sides * probabilities.sum(dim=-1)).sum() / expected)


def _relative_entropy(wanted: Tensor, given: Tensor) -> Tensor:
    """Return KL(wanted, given) [...] of distributions [..., outcomes], all as logarithms."""
    return functional.kl_div(given, wanted, reduction="none", log_target=True).sum(dim=-1)


def _scores(maps: Sequence[Tensor]) -> Tensor:
    """Return the logarithms of probability and counter-probability, [B, N, C, 2]."""
    logits = flatten_maps(maps)
    return functional.logsigmoid(torch.stack((logits, -logits), dim=-1))


def _sides(maps: Sequence[Tensor]) -> Tensor:
    """Return log-probabilities of the distances, [B, N, 4, reg_max + 1]."""
    logits = flatten_maps(maps)
    return logits.reshape(*logits.shape[:2], 4, -1).log_softmax(dim=-1)
