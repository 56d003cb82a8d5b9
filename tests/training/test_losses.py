from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from edge_sdk.converters.heads import yolo_nas
from edge_sdk.runtime.letterbox import Letterbox
from edge_sdk.runtime.postprocess import Postprocessor
from edge_sdk.training.anchors import anchors_of, boxes_around, flatten_maps, mean_distances
from edge_sdk.training.assigner import Objects
from edge_sdk.training.losses import DetectionLoss, distribution_focal, varifocal
from edge_sdk.training.overlap import generalized_iou, pairwise_iou

SIZE = (64, 96)
STRIDES = (8, 16, 32)


def maps(channels: int, fill: float = 0.0) -> list[torch.Tensor]:
    return [torch.full((2, channels, SIZE[0] // s, SIZE[1] // s), fill) for s in STRIDES]


def one_object(box: list[float], class_id: int = 1) -> Objects:
    """The object in the first image; none in the second."""
    return Objects(
        torch.tensor([[box], [[0.0] * 4]]),
        torch.tensor([[class_id], [0]]),
        torch.tensor([[True], [False]]),
    )


def test_boxes_are_those_that_the_runtime_decodes() -> None:
    spec = yolo_nas.spec(2, SIZE)
    random = torch.Generator().manual_seed(0)
    classes = [torch.randn(m.shape, generator=random) - 3 for m in maps(2)]
    distances = [torch.randn(m.shape, generator=random) * 2 for m in maps(68)]

    anchors = anchors_of(classes, STRIDES)
    boxes = boxes_around(anchors.points, mean_distances(flatten_maps(distances)) * anchors.strides)
    scores = flatten_maps(classes).sigmoid()[0]

    placement = Letterbox(spec.preprocessing, SIZE).placement(SIZE)
    post = Postprocessor(spec, score=0.01, iou=0.9999)
    found = post([m[0].numpy() for m in (*classes, *distances)], placement, SIZE)
    expected = (boxes[0].numpy() - np.tile([placement.left, placement.top], 2)) / placement.scale
    expected = expected.clip(0, [SIZE[1], SIZE[0]] * 2)
    assert len(found) > 100
    for box, score, class_id, _ in found:
        cells = np.flatnonzero(np.abs(scores[:, class_id].numpy() - score) < 1e-5)
        assert np.abs(expected[cells] - np.array(box)).max(axis=1).min() < 1e-2


def test_generalized_iou_of_known_boxes() -> None:
    first = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10]])
    second = torch.tensor([[0.0, 0, 10, 10], [5, 0, 15, 10], [20, 0, 30, 10]])
    expected = [1.0, 1 / 3, -1 / 3]
    torch.testing.assert_close(generalized_iou(first, second), torch.tensor(expected))
    iou = pairwise_iou(first[None, :1], second[None])[0, 0]
    torch.testing.assert_close(iou, torch.tensor([1.0, 1 / 3, 0.0]))


def test_distribution_focal_is_the_cross_entropy_of_two_bins() -> None:
    logits = torch.randn(1, 68, generator=torch.Generator().manual_seed(1))
    logs = logits.reshape(4, 17).log_softmax(-1)
    true = torch.tensor([[0.0, 2.25, 15.5, 40.0]])
    expected = -torch.stack((
        logs[0, 0], 0.75 * logs[1, 2] + 0.25 * logs[1, 3], 0.5 * (logs[2, 15] + logs[2, 16]),
        0.01 * logs[3, 15] + 0.99 * logs[3, 16],
    )).mean()  # fmt: skip
    torch.testing.assert_close(distribution_focal(logits, true)[0], expected)


def test_varifocal_weighs_positives_by_their_target_and_background_by_focus() -> None:
    logits = torch.tensor([0.5, -1.0])
    p = logits.sigmoid().tolist()
    targets, positive = torch.tensor([0.8, 0.0]), torch.tensor([True, False])
    expected = -0.8 * (0.8 * math.log(p[0]) + 0.2 * math.log(1 - p[0]))
    expected += -0.75 * p[1] ** 2 * math.log(1 - p[1])
    assert float(varifocal(logits, targets, positive)) == pytest.approx(expected, rel=1e-5)


def test_without_objects_only_the_background_is_learnt() -> None:
    classes = [m.requires_grad_() for m in maps(2, -2.0)]
    distances = [m.requires_grad_() for m in maps(68)]
    nothing = Objects(
        torch.zeros(2, 1, 4), torch.zeros(2, 1, dtype=torch.long), torch.zeros(2, 1).bool()
    )
    losses = DetectionLoss(STRIDES)(classes, distances, nothing)
    assert losses.boxes.item() == losses.distances.item() == 0
    torch.stack(losses).sum().backward()
    assert all(float(m.grad.abs().sum()) > 0 for m in classes)
    assert all(float(m.grad.abs().sum()) == 0 for m in distances)


def test_a_perfect_prediction_costs_little_and_a_shift_costs_more() -> None:
    box = [16.0, 8.0, 64.0, 56.0]

    def loss(offset: float) -> float:
        classes, distances = maps(2, -8.0), maps(68, 0.0)
        anchors = anchors_of(classes, STRIDES)
        first = 0
        for class_map, distance_map, stride in zip(classes, distances, STRIDES, strict=True):
            cells = class_map.shape[2] * class_map.shape[3]
            points = anchors.points[first : first + cells]
            first += cells
            sides = torch.cat((points - torch.tensor(box[:2]), torch.tensor(box[2:]) - points), 1)
            cells_away = (sides / stride + offset).clamp(0, 15.98)
            below = cells_away.long()
            share = cells_away - below
            logits = torch.full((cells, 4, 17), -20.0)
            logits.scatter_(2, below[..., None], (1 - share).clamp(1e-6).log()[..., None])
            logits.scatter_(2, below[..., None] + 1, share.clamp(1e-6).log()[..., None])
            distance_map[0] = logits.reshape(cells, 68).T.reshape(distance_map[0].shape)
            inside = (sides.min(dim=1).values > 0).reshape(class_map.shape[2:])
            class_map[0, 1][inside] = 8.0
        losses = DetectionLoss(STRIDES)(classes, distances, one_object(box))
        return float(losses.boxes)

    assert loss(0.0) < 0.02
    assert loss(0.5) > 10 * loss(0.0)


def test_parts_are_weighted_and_divided_by_the_sum_of_scores() -> None:
    box = [16.0, 8.0, 64.0, 56.0]
    random = torch.Generator().manual_seed(3)
    classes = [torch.randn(m.shape, generator=random) for m in maps(2)]
    distances = [torch.randn(m.shape, generator=random) for m in maps(68)]
    single = DetectionLoss(STRIDES)(classes, distances, one_object(box))
    doubled = DetectionLoss(STRIDES, 2.0, 5.0, 1.0)(classes, distances, one_object(box))
    torch.testing.assert_close(torch.stack(doubled), 2 * torch.stack(single))
