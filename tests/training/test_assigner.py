from __future__ import annotations

import pytest
import torch

from edge_sdk.training.anchors import anchors_of
from edge_sdk.training.assigner import Assignment, Objects, assign
from edge_sdk.training.overlap import pairwise_iou


def objects(boxes: list[list[float]], class_ids: list[int], padding: int = 0) -> Objects:
    count = len(boxes)
    return Objects(
        torch.tensor([boxes + [[0.0] * 4] * padding]),
        torch.tensor([class_ids + [0] * padding]),
        (torch.arange(count + padding) < count)[None],
    )


def grid(height: int, width: int, stride: int = 8) -> torch.Tensor:
    return anchors_of([torch.zeros(1, 1, height, width)], [stride]).points


def around(points: torch.Tensor, half: float) -> torch.Tensor:
    return torch.cat((points - half, points + half), dim=-1)[None]


def reference(
    scores: torch.Tensor, boxes: torch.Tensor, points: torch.Tensor, labelled: Objects, top_k: int
) -> tuple[list[list[int]], list[list[float]]]:
    """The definition, object by object; -1 for background. Objects here are large."""
    owners, targets = [], []
    for image in range(len(boxes)):
        wanted: dict[int, list[tuple[float, int, float]]] = {}
        ious = pairwise_iou(labelled.boxes, boxes)[image]
        for index, (box, class_id) in enumerate(
            zip(labelled.boxes[image].tolist(), labelled.class_ids[image].tolist(), strict=True)
        ):
            if not labelled.present[image, index]:
                continue
            alignments = [
                (float(scores[image, cell, class_id]) * float(ious[index, cell]) ** 6, cell)
                for cell, (x, y) in enumerate(points.tolist())
                if box[0] < x < box[2] and box[1] < y < box[3]
            ]
            for alignment, cell in sorted(alignments, reverse=True)[:top_k]:
                wanted.setdefault(cell, []).append((float(ious[index, cell]), index, alignment))
        owner, target = [-1] * len(points), [0.0] * len(points)
        for cell, rivals in wanted.items():
            owner[cell], target[cell] = max(rivals)[1:]
        for index in range(labelled.boxes.shape[1]):
            own = [cell for cell, other in enumerate(owner) if other == index]
            best = max((target[cell] for cell in own), default=0)
            iou = max((float(ious[index, cell]) for cell in own), default=0)
            for cell in own:
                target[cell] *= iou / best
        owners.append(owner)
        targets.append(target)
    return owners, targets


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_the_definition(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    points = grid(8, 12)
    corners = torch.rand(3, 6, 2, generator=generator) * 50
    sides = 10 + torch.rand(3, 6, 2, generator=generator) * 40
    labelled = Objects(
        torch.cat((corners, corners + sides), dim=-1),
        torch.randint(4, (3, 6), generator=generator),
        torch.rand(3, 6, generator=generator) < 0.8,
    )
    reach = 4 + torch.rand(3, len(points), 4, generator=generator) * 30
    boxes = torch.cat((points - reach[..., :2], points + reach[..., 2:]), dim=-1)
    scores = torch.rand(3, len(points), 4, generator=generator)

    found = assign(scores, boxes, points, labelled, top_k=5)

    owners, targets = reference(scores, boxes, points, labelled, top_k=5)
    assert torch.where(found.positive, found.objects, -1).tolist() == owners
    torch.testing.assert_close(found.scores, torch.tensor(targets), rtol=1e-3, atol=1e-4)


def assigned(labelled: Objects, points: torch.Tensor, half: float = 10.0) -> Assignment:
    scores = torch.full((1, len(points), 2), 0.5)
    return assign(scores, around(points, half), points, labelled)


def test_at_most_top_k_anchors_and_only_inside() -> None:
    points = grid(8, 8)
    found = assigned(objects([[0, 0, 64, 64]], [0]), points)
    assert int(found.positive.sum()) == 13
    found = assigned(objects([[8, 8, 24, 24]], [1]), points)
    inside = points[found.positive[0]]
    assert len(inside) == 4
    assert bool(((inside > 8) & (inside < 24)).all())


def test_the_best_anchor_gets_the_best_iou_as_its_target() -> None:
    points = grid(8, 8)
    labelled = objects([[3, 5, 40, 38]], [0])
    found = assigned(labelled, points)
    ious = pairwise_iou(labelled.boxes, around(points, 10.0))[0, 0]
    assert float(found.scores.max()) == pytest.approx(
        float(ious[found.positive[0]].max()), rel=1e-3
    )


def test_a_shared_anchor_goes_to_the_larger_overlap() -> None:
    points = grid(4, 4)
    labelled = objects([[0, 0, 32, 32], [2, 2, 22, 22]], [0, 0])
    found = assigned(labelled, points)
    cell = int((points == torch.tensor([12.0, 12.0])).all(dim=1).nonzero())
    assert int(found.objects[0, cell]) == 1  # the anchor's own box is 2..22


def test_padding_and_empty_images_have_no_positives() -> None:
    points = grid(4, 4)
    found = assigned(objects([], [], padding=3), points)
    assert not found.positive.any()
    assert float(found.scores.sum()) == 0
    with_padding = assigned(objects([[0, 0, 30, 30]], [1], padding=3), points)
    without = assigned(objects([[0, 0, 30, 30]], [1]), points)
    assert torch.equal(with_padding.scores, without.scores)


def test_an_object_between_the_anchors_still_gets_one() -> None:
    points = grid(8, 8)
    box = [30.5, 6.0, 33.5, 10.0]  # between the centres 28 and 36, 4 and 12
    assert not ((points[:, 0] > box[0]) & (points[:, 0] < box[2])).any()
    found = assigned(objects([box], [0]), points, half=5.0)
    assert found.positive.any()
    assert float(found.scores.max()) > 0


def test_no_overlap_at_all_gives_zero_scores_not_nan() -> None:
    points = grid(4, 4)
    boxes = torch.zeros(1, len(points), 4)
    found = assign(torch.rand(1, 16, 2), boxes, points, objects([[0, 0, 30, 30]], [0]))
    assert torch.isfinite(found.scores).all()
    assert float(found.scores.sum()) == 0
