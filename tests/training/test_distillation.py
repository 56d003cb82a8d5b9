from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from edge_sdk.training.distillation import Maps, divergence

CELLS = ((4, 6), (2, 3))
BINS = 5


def predictions(seed: int, background: float = -2.0) -> Maps:
    random = torch.Generator().manual_seed(seed)

    def maps(channels: int, mean: float) -> list[Tensor]:
        return [torch.randn(2, channels, *size, generator=random) + mean for size in CELLS]

    return maps(3, background), maps(4 * BINS, 0.0)


def moved(maps: Maps, by: float) -> Maps:
    random = torch.Generator().manual_seed(7)
    classes, distances = (
        [one + by * torch.randn(one.shape, generator=random) for one in part] for part in maps
    )
    return classes, distances


def softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    powers: npt.NDArray[np.float64] = np.exp(logits)
    powers /= powers.sum()
    return powers


def test_it_is_the_divergence_of_all_predictions_together() -> None:
    """Counted out: the outcomes of an anchor and class are no object, and one with these sides."""
    student, teacher = predictions(0), predictions(1)
    together, objects = 0.0, 0.0
    for level, (height, width) in enumerate(CELLS):
        for image, y, x in np.ndindex(2, height, width):
            q, p = (
                1 / (1 + np.exp(-side[0][level][image, :, y, x].double().numpy()))
                for side in (student, teacher)
            )
            e, d = (
                [
                    softmax(one)
                    for one in side[1][level][image, :, y, x].double().numpy().reshape(4, BINS)
                ]
                for side in (student, teacher)
            )
            joint_e, joint_d = (np.einsum("i,j,k,l->ijkl", *sides) for sides in (e, d))
            for one_q, one_p in zip(q, p, strict=True):
                together += (1 - one_p) * math.log((1 - one_p) / (1 - one_q))
                together += (one_p * joint_d * np.log(one_p * joint_d / (one_q * joint_e))).sum()
            objects += p.sum()
    assert objects > 1
    assert float(sum(divergence(student, teacher))) == pytest.approx(together / objects, rel=1e-5)


def test_a_student_that_agrees_has_nothing_to_learn() -> None:
    teacher = predictions(0)
    student = moved(teacher, 0.0)
    for tensor in (*student[0], *student[1]):
        tensor.requires_grad_(True)
    parts = divergence(student, teacher)
    sum(parts).backward()  # type: ignore[union-attr]
    assert float(parts.classes.detach()) == 0.0
    assert float(parts.distances.detach()) == 0.0
    for tensor in (*student[0], *student[1]):
        assert tensor.grad is not None
        assert float(tensor.grad.abs().max()) < 1e-7


def test_only_the_student_learns() -> None:
    student, teacher = predictions(0), predictions(1)
    for tensor in (*student[0], *student[1], *teacher[0], *teacher[1]):
        tensor.requires_grad_(True)
    sum(divergence(student, teacher)).backward()  # type: ignore[union-attr]
    assert all(tensor.grad is not None for tensor in (*student[0], *student[1]))
    assert all(tensor.grad is None for tensor in (*teacher[0], *teacher[1]))


@pytest.mark.parametrize("background", [0.0, -8.0])
def test_what_is_unlikely_weighs_little(background: float) -> None:
    """For logits that differ by a little: p (1 - p) / 2 x difference^2, over the objects."""
    teacher = predictions(0, background)
    student = moved(teacher, 0.01)
    logits, others = (torch.cat([one.flatten() for one in side[0]]) for side in (teacher, student))
    p = logits.double().sigmoid()
    expected = (p * (1 - p) / 2 * (others - logits).double().square()).sum() / p.sum().clamp(min=1)
    found = divergence(student, teacher).classes
    assert float(found) == pytest.approx(float(expected), rel=0.02)
