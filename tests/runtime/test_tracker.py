from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy.optimize import linear_sum_assignment

from edge_sdk.detections import Detections
from edge_sdk.errors import EdgeError
from edge_sdk.runtime import Detector, Pipeline, Result, Tracker, open_source, stream
from edge_sdk.runtime.kernels import assign
from edge_sdk.runtime.sources.street import Street

Floats = npt.NDArray[np.float32]


def detections(boxes: object, scores: object = 0.8) -> Detections:
    array = np.array(boxes, np.float32).reshape(-1, 4)
    values = np.broadcast_to(np.asarray(scores, np.float32), len(array))
    return Detections(array, values, np.zeros(len(array), np.int32), ("car",))


def ids(found: Detections) -> list[int]:
    assert found.track_ids is not None
    return [int(number) for number in found.track_ids]


def matched(costs: Floats, alone: float) -> npt.NDArray[np.int32]:
    """Match the rows of a dense table; pairs that cost as much as staying alone are left out."""
    keep = costs < alone
    starts = np.concatenate([[0], np.cumsum(keep.sum(1))]).astype(np.int32)
    columns = np.append(np.nonzero(keep)[1], 0).astype(np.int32)
    found = np.empty(len(costs), np.int32)
    values = np.append(costs[keep], 0).astype(np.float32)
    assign(starts, columns, values, costs.shape[1], alone, found)
    return found


@pytest.mark.parametrize("alone", [0.1, 0.5, 2.0])
def test_assignment_is_as_good_as_scipys(alone: float) -> None:
    rng = np.random.default_rng(0)
    for number in range(200):
        rows, columns = rng.integers(1, 60 if number % 10 == 0 else 9, 2)
        costs = rng.random((rows, columns)).astype(np.float32)
        if number % 3 == 0:  # ties
            costs = np.round(costs * 4) / 4
        found = matched(costs, alone)
        partners = found[found >= 0]
        assert len(set(partners.tolist())) == len(partners)
        mine = np.where(found >= 0, costs[np.arange(rows), found], alone).sum()
        wide = np.full((rows, columns + rows), 1e6)
        wide[:, :columns] = costs
        wide[np.arange(rows), columns + np.arange(rows)] = alone
        assert mine == pytest.approx(wide[linear_sum_assignment(wide)].sum(), abs=1e-4)


def test_objects_that_cross_keep_their_numbers() -> None:
    tracker = Tracker()
    seen = set()
    for index in range(60):
        left, right = 10 + 8 * index, 490 - 8 * index
        found = tracker(
            detections([[left, 100, left + 60, 180], [right, 130, right + 60, 230]]), index / 30
        )
        seen.add(tuple(ids(found)))
    assert seen == {(1, 2)}
    assert tracker.objects == 2


def test_object_that_is_hidden_for_a_while_keeps_its_number_and_not_for_ever() -> None:
    tracker = Tracker()

    def show(index: int) -> list[int]:
        return ids(tracker(detections([[4 * index, 50, 4 * index + 80, 150]]), index / 30))

    assert [show(index) for index in range(10)] == [[1]] * 10
    for index in range(10, 30):
        assert ids(tracker(detections([]), index / 30)) == []
    assert show(30) == [1]
    for index in range(31, 70):
        tracker(detections([]), index / 30)
    assert [show(70), show(71)] == [[], [2]]


def test_weak_detection_continues_a_track_and_begins_none() -> None:
    tracker = Tracker(0.25)
    box = [[10, 10, 60, 90]]
    shown = [
        ids(tracker(detections(box, score), index / 30))
        for index, score in enumerate((0.01, 0.3, 0.45, 0.55, 0.45, 0.12, 0.08, 0.45))
    ]
    # 0.45 is strong, and too weak to begin; what begins is known when it is seen again.
    assert shown == [[], [], [], [], [1], [1], [], [1]]


def test_object_with_two_classes_is_one() -> None:
    tracker = Tracker()
    boxes = [[10, 10, 60, 90], [11, 10, 60, 91], [200, 10, 250, 90]]
    for index in range(-1, 4):
        seen = boxes if index >= 0 else []
        found = tracker(detections(seen, [0.9, 0.8, 0.7][: len(seen)]), index / 30)
    assert ids(found) == [1, 2]
    assert found.boxes[:, 0].tolist() == [10, 200]


@pytest.mark.parametrize("fps", [5, 10, 30, 60])
def test_motion_is_by_the_clock_whatever_the_rate(fps: int) -> None:
    """A car that drives by its own length in a second, with every third frame missing."""
    tracker = Tracker()
    numbers = []
    for index in range(6 * fps):
        if index % 3 < 2:
            x = 20 + 60 * index / fps
            numbers += ids(tracker(detections([[x, 40, x + 60, 90]]), index / fps))
    assert set(numbers) == {1}
    assert len(numbers) >= 4 * fps - 1


def test_crowd_beyond_what_is_followed_and_empty_frames() -> None:
    tracker = Tracker()
    rng = np.random.default_rng(1)
    corners = rng.random((2000, 2)) * 20_000
    boxes = np.concatenate([corners, corners + 30], 1)
    assert ids(tracker(detections([]), 0)) == []
    for index in range(3):
        found = tracker(detections(boxes), index / 30)
    assert len(found) == tracker.objects <= 1024
    assert len(set(ids(found))) == len(found) > 1000


def test_bad_settings_are_named() -> None:
    with pytest.raises(EdgeError, match=r"score is 1\.5"):
        Tracker(1.5)
    with pytest.raises(EdgeError, match="memory is 0"):
        Tracker(memory=0)


def test_street_tells_which_thing_is_in_each_box() -> None:
    street = Street(3, (180, 320))
    frames = [street.followed(index) for index in range(40)]
    everyone: dict[int, int] = {}
    for frame, things in frames:
        assert len(set(things.tolist())) == len(things) == len(frame.boxes)
        for number, kind in zip(things.tolist(), frame.class_ids.tolist(), strict=True):
            assert everyone.setdefault(number, kind) == kind
    # From one frame to the next a thing's box is mostly the same, and others' are not.
    for (before, old), (after, new) in pairwise(frames):
        for number in set(old) & set(new):
            moved = before.boxes[old == number] - after.boxes[new == number]
            assert np.abs(moved).max() < 40
    assert len(everyone) < sum(len(things) for _, things in frames) / 5


def test_true_boxes_of_the_street_are_followed() -> None:
    """With perfect detections nearly no object changes its number."""
    street, tracker = Street(3, (360, 640)), Tracker()
    last: dict[int, int] = {}
    switches = seen = 0
    for index in range(60):
        frame, things = street.followed(index)
        found = tracker(detections(frame.boxes, 0.9), index / 30)
        owner = dict(zip(map(tuple, frame.boxes.tolist()), things.tolist(), strict=True))
        for box, number in zip(found.boxes.tolist(), ids(found), strict=True):
            thing = owner[tuple(box)]
            switches += last.get(thing, number) != number
            last[thing] = number
            seen += 1
    assert seen > 200
    assert switches <= seen / 100


def test_stream_tells_the_numbers_everywhere(detector: Detector, tmp_path: Path) -> None:
    seen: list[Result] = []
    lines = tmp_path / "out.jsonl"
    sources = [f"test://street?size=160x96&frames=12&seed={seed}" for seed in (0, 1)]
    summary = stream(detector, sources, sinks=[seen.append, lines], track=True)
    assert all(result.detections.track_ids is not None for result in seen)
    assert summary.stages["track"].n == len(seen) == 24
    for text, result in zip(lines.read_text().splitlines(), seen, strict=True):
        told = [found["track_id"] for found in json.loads(text)["detections"]]
        assert told == ids(result.detections)
        assert len(set(told)) == len(told)
    for camera in summary.cameras.values():
        assert camera["objects"] > 0
    # Each camera counts for itself.
    assert {min(ids(r.detections)) for r in seen if len(r.detections)} == {1}


def test_stream_without_tracking_is_as_it_was(detector: Detector) -> None:
    summary = stream(detector, "test://street?size=160x96&frames=3")
    assert not summary.stages["track"].n
    assert "objects" not in next(iter(summary.cameras.values()))


def test_tracking_lets_the_weak_in_and_plain_calls_do_not(tiny_bundle: Path) -> None:
    image = next(iter(open_source("test://street?size=160x96"))).image
    with Detector(tiny_bundle, threads=1, score=0.5) as detector:
        assert detector.score == 0.5
        weak = detector.timed(image, 0.05)[0]
        plain = detector(image)
        assert weak.scores.min() < 0.5 <= plain.scores.min(initial=1)
        np.testing.assert_array_equal(weak.above(0.5).boxes, plain.boxes)
        results = list(Pipeline(detector, [open_source("test://street?frames=2")], track=True))
        assert len(results) == 2
