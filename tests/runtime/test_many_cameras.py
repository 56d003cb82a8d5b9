"""Freshness, fair shares, caps, regions, and several inferences at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scripted import Scripted, adds_up

from edge_sdk.errors import EdgeError
from edge_sdk.runtime import Detector, Pipeline, Result, open_source, stream
from edge_sdk.runtime.sources.uri import Region


class Slow(Detector):
    """A detector that takes its time."""

    seconds = 0.02

    def timed(self, frame: Any) -> Any:
        time.sleep(self.seconds)
        return super().timed(frame)


@pytest.fixture(scope="module")
def slow(tiny_bundle: Path) -> Iterator[Slow]:
    with Slow(tiny_bundle, threads=1) as detector:
        yield detector


def test_result_tells_its_age_at_every_stage(slow: Slow) -> None:
    seen: list[Result] = []
    before = time.time()
    stream(slow, Scripted(30, live=True, pause=0.005), sinks=[seen.append])
    for result in seen:
        assert list(result.ages) == ["wait", "letterbox", "inference", "postprocess", "delivered"]
        assert sorted(result.ages.values()) == list(result.ages.values())
        assert result.ages["delivered"] == result.age >= 0.02
        assert before < result.captured < time.time()
    indices = [-1, *(result.frame.index for result in seen)]
    assert [result.missed for result in seen] == [b - a - 1 for a, b in pairwise(indices)]
    assert sum(result.missed for result in seen) > 10


def test_slow_consumer_gets_fresh_frames(detector: Detector) -> None:
    """A result waits for the consumer for as long as the consumer takes, and no longer."""
    seen: list[Result] = []

    def consume(result: Result) -> None:
        seen.append(result)
        time.sleep(0.05)

    summary = stream(detector, Scripted(100, live=True, pause=0.005), sinks=[consume])
    assert summary.stages["age"].p50 < 90  # 50, and what a busy machine adds
    assert adds_up(summary.counts["scripted"])


def test_nothing_older_than_max_staleness_is_handed_over(slow: Slow) -> None:
    ages: list[float] = []
    summary = stream(slow, Scripted(30), max_staleness=50, sinks=[lambda r: ages.append(r.age)])
    counts = summary.counts["scripted"]
    assert adds_up(counts)
    assert counts.delivered == len(ages) == 30 - counts.stale
    assert max(ages, default=0) <= 0.05
    nothing = stream(slow, Scripted(10), max_staleness=10)
    assert nothing.delivered == 0
    assert nothing.counts["scripted"].stale == 10
    with pytest.raises(EdgeError, match="max_staleness is 0"):
        stream(slow, Scripted(), max_staleness=0)


def test_cameras_that_ask_for_too_much_share_fairly(slow: Slow) -> None:
    quick = [Scripted(None, live=True, pause=0.004, name=name) for name in "ab"]
    rare = Scripted(None, live=True, pause=0.4, name="rare")
    summary = stream(slow, [*quick, rare], duration=2)
    counts = summary.counts
    assert all(adds_up(each) for each in counts.values())
    assert counts["a"].delivered == pytest.approx(counts["b"].delivered, rel=0.3, abs=2)
    # No frame of the slow camera is lost: its turn comes before its next frame does.
    # One may wait and one be read when the stream ends.
    assert counts["rare"].late == 0
    assert counts["rare"].delivered >= counts["rare"].captured - 2 >= 1


def test_rate_cap_of_each_camera(detector: Detector) -> None:
    capped, free = Scripted(60, fps=30, name="capped"), Scripted(60, fps=30, name="free")
    capped.max_fps = 10
    counts = stream(detector, [capped, free]).counts
    assert (counts["capped"].delivered, counts["capped"].capped) == (20, 40)
    assert counts["free"].delivered == 60
    assert all(adds_up(each) for each in counts.values())


def test_region_is_looked_at_and_boxes_are_of_the_whole_frame(detector: Detector) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)

    class Still(Scripted):
        def _images(self) -> Iterator[npt.NDArray[np.uint8]]:
            yield picture

    source = Still()
    source.region = Region(30, 20, 64, 48)
    seen: list[Result] = []
    stream(detector, source, sinks=[seen.append])
    inside = detector(picture[20:68, 30:94])
    assert len(inside) > 0
    whole = inside.boxes + np.array([30, 20, 30, 20], np.float32)
    np.testing.assert_array_equal(seen[0].detections.boxes, whole)
    assert seen[0].frame.image is picture
    source.region = Region(128, 0, 10, 10)
    with pytest.raises(EdgeError, match="lies outside its 128 x 96 pixels"):
        stream(detector, source)


@pytest.mark.parametrize("target", ["openvino", "onnxruntime"])
def test_several_inferences_at_a_time_keep_the_order(tiny_bundle: Path, target: str) -> None:
    running: list[int] = []
    most = []

    class Watched(Detector):
        def timed(self, frame: Any) -> Any:
            running.append(1)
            most.append(len(running))
            time.sleep(0.002 * (int(frame[0, 0, 0]) % 3))
            found = super().timed(frame)
            running.pop()
            return found

    before = threading.active_count()
    with Watched(tiny_bundle, target=target, threads=1, parallel=3) as detector:
        assert detector.parallel == 3
        seen: list[int] = []
        summary = stream(
            detector, Scripted(60), sinks=[lambda result: seen.append(result.frame.index)]
        )
        assert seen == list(range(60))
        assert max(most) == 3
        pipeline = Pipeline(detector, [Scripted(None), Scripted(None, live=True)], max_frames=20)
        assert len(list(pipeline)) == 20
        assert all(adds_up(counts) for counts in pipeline.summary().counts.values())
    assert adds_up(summary.counts["scripted"])
    assert threading.active_count() == before
    with pytest.raises(EdgeError, match="parallel is 0"):
        Detector(tiny_bundle, parallel=0)


def test_memory_of_frames_is_used_again(detector: Detector, tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (64, 48))
    for level in range(60):
        writer.write(np.full((48, 64, 3), 4 * level, np.uint8))
    writer.release()
    places = set()
    stream(detector, path, sinks=[lambda r: places.add(r.frame.image.ctypes.data)])
    assert len(places) < 16
    # Whoever keeps the pictures keeps them as they were.
    kept: list[Result] = []
    stream(detector, path, sinks=[kept.append])
    levels = [round(float(result.frame.image.mean())) for result in kept]
    assert levels == pytest.approx([4 * level for level in range(60)], abs=3)
    assert len(list(open_source(path))) == 60


def test_several_models_in_one_process(tiny_bundle: Path) -> None:
    found: dict[str, list[int]] = {"one": [], "two": [], "both": []}

    def keep(name: str) -> Any:
        return lambda result: found[name].append(len(result.detections))

    with (
        Detector(tiny_bundle, threads=1, score=0.01) as one,
        Detector(tiny_bundle, threads=1, max_detections=3) as two,
    ):
        pipelines = {
            name: Pipeline(detector, [Scripted(20, name=name)])
            for name, detector in (("one", one), ("two", two))
        }
        for name, pipeline in pipelines.items():
            pipeline.start([keep(name)])
        assert all(pipeline.wait(20) for pipeline in pipelines.values())
        # The second model on the first one's frames.
        stream(one, Scripted(20), sinks=[lambda r: found["both"].append(len(two(r.frame.image)))])
    assert found["two"] == found["both"]
    assert len(found["one"]) == 20
    assert max(found["two"]) <= 3 < max(found["one"])
