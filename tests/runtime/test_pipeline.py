from __future__ import annotations

import json
import threading
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scripted import Scripted, adds_up

from edge_sdk.errors import EdgeError
from edge_sdk.runtime import Detector, Pipeline, Result, stream
from edge_sdk.runtime.sinks.record import record


def test_every_frame_of_a_file_in_order(detector: Detector) -> None:
    source = Scripted(30)
    seen: list[Result] = []
    summary = stream(detector, source, sinks=[seen.append])
    assert [result.frame.index for result in seen] == list(range(30))
    assert asdict(summary.counts["scripted"]) == {
        "captured": 30, "delivered": 30, "late": 0, "stale": 0, "capped": 0, "paused": 0,
        "failed": 0, "unread": 0,
    }  # fmt: skip
    np.testing.assert_array_equal(
        seen[7].detections.boxes, detector(np.full((48, 64, 3), 7, np.uint8)).boxes
    )
    assert seen[7].annotated is seen[7].annotated
    assert source.closed >= 1
    assert summary.remarks == ()


def test_live_source_skips_what_the_consumer_has_no_time_for(detector: Detector) -> None:
    seen: list[int] = []

    def slow(result: Result) -> None:
        seen.append(result.frame.index)
        time.sleep(0.03)

    summary = stream(detector, Scripted(60, live=True, pause=0.004), sinks=[slow])
    counts = summary.counts["scripted"]
    assert counts.late > 10
    assert adds_up(counts)
    assert counts.captured == 60
    assert counts.delivered == len(seen)
    assert seen == sorted(seen)
    assert seen[-1] == 59


def test_file_in_the_place_of_a_camera_plays_at_its_own_rate(detector: Detector) -> None:
    start = time.perf_counter()
    summary = stream(detector, Scripted(21, fps=50), policy="latest")
    assert 0.4 <= time.perf_counter() - start < 2
    assert adds_up(summary.counts["scripted"])


def test_duration_ends_an_endless_source(detector: Detector) -> None:
    source = Scripted(None, pause=0.001)
    start = time.perf_counter()
    summary = stream(detector, source, duration=0.3)
    assert 0.3 <= time.perf_counter() - start < 1.5
    assert adds_up(summary.counts["scripted"])
    assert summary.delivered > 3
    assert source.closed
    assert summary.seconds == pytest.approx(0.3, abs=0.3)


@pytest.mark.parametrize("live", [False, True])
def test_max_frames_delivers_exactly_so_many(detector: Detector, live: bool) -> None:
    summary = stream(detector, Scripted(None, live=live, pause=0.001), max_frames=7)
    assert summary.delivered == 7
    assert adds_up(summary.counts["scripted"])


def test_several_sources_share_the_detector(detector: Detector) -> None:
    seen: list[str] = []
    summary = stream(
        detector,
        [Scripted(20, name="a"), Scripted(5, name="b"), Scripted(20, name="a", pause=0.002)],
        sinks=[lambda result: seen.append(result.frame.source.name)],
    )
    assert {name: counts.delivered for name, counts in summary.counts.items()} == {
        "a (1)": 20, "b": 5, "a (3)": 20,
    }  # fmt: skip
    assert len(seen) == 45
    assert "b" in seen[:15]


def test_sink_that_returns_false_ends_the_stream(detector: Detector) -> None:
    source = Scripted(None)
    summary = stream(detector, source, sinks=[lambda result: result.frame.index < 4])
    assert summary.delivered == 5
    assert adds_up(summary.counts["scripted"])
    assert source.closed


def test_leaving_the_loop_ends_the_threads(detector: Detector) -> None:
    before = threading.active_count()
    source = Scripted(None)
    for result in (pipeline := Pipeline(detector, [source])):
        if result.frame.index == 3:
            break
    pipeline.close()
    assert threading.active_count() == before
    assert source.closed
    assert adds_up(pipeline.summary().counts["scripted"])
    with pytest.raises(EdgeError, match="has run"):
        next(iter(pipeline))


def test_ctrl_c_ends_the_stream_and_closes_the_files(detector: Detector, tmp_path: Path) -> None:
    def interrupt(result: Result) -> None:
        if result.frame.index == 5:
            raise KeyboardInterrupt

    out = tmp_path / "out.avi"
    summary = stream(detector, Scripted(None), sinks=[out, interrupt])
    assert summary.delivered == 6
    cv2 = pytest.importorskip("cv2")
    assert cv2.VideoCapture(str(out)).get(cv2.CAP_PROP_FRAME_COUNT) == 6


def test_slow_consumer_does_not_make_memory_grow(detector: Detector) -> None:
    """At any time a handful of frames is on its way, whatever the consumer does."""
    source = Scripted(None)
    pipeline = Pipeline(detector, [source])
    results = iter(pipeline)
    next(results)
    time.sleep(0.3)
    counts = pipeline.summary().counts["scripted"]
    assert counts.captured - counts.delivered <= 9
    pipeline.close()


def test_source_that_ends_early_is_remarked_on(detector: Detector) -> None:
    source = Scripted(5)
    source.frames = 20
    summary = stream(detector, source)
    assert summary.remarks == ("scripted says that it has 20 frames and gave 5: it may be damaged",)
    assert not stream(detector, Scripted(20), max_frames=3).remarks


def test_model_is_opened_and_closed(tiny_bundle: Path) -> None:
    summary = stream(tiny_bundle, "test://street?size=96x64&frames=3", threads=1, score=0.5)
    assert summary.delivered == 3


def test_summary_tells_each_stage(detector: Detector) -> None:
    summary = stream(detector, Scripted(20, pause=0.002))
    values = summary.to_dict()
    assert json.loads(json.dumps(values)) == values
    stages = values["stages_ms"]
    assert {name: stage["n"] for name, stage in stages.items()} == dict.fromkeys(
        ("read", "wait", "letterbox", "inference", "postprocess", "age", "sinks"), 20
    )
    assert stages["read"]["p50"] >= 2
    parts = ("wait", "letterbox", "inference", "postprocess")
    assert stages["age"]["mean"] >= sum(stages[name]["mean"] for name in parts)
    assert stages["age"]["p50"] <= stages["age"]["p99"] <= stages["age"]["max"]


def test_rate_is_of_intervals_between_results(detector: Detector) -> None:
    """Ten results a tenth of a second apart are ten a second, not eleven."""
    summary = stream(detector, Scripted(6, pause=0.1))
    assert 8 < summary.fps <= 10.3


def test_stats_file_has_a_line_a_second_and_a_last_one(detector: Detector, tmp_path: Path) -> None:
    path = tmp_path / "stats.jsonl"
    stream(detector, Scripted(None, pause=0.01), duration=1.5, stats=path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert ["final" in line for line in lines] == [False, True]
    assert lines[0]["seconds"] == pytest.approx(1, abs=0.3)
    assert lines[0]["fps"] > 20
    assert (
        lines[0]["counts"]["scripted"]["delivered"] <= lines[1]["counts"]["scripted"]["delivered"]
    )
    with pytest.raises(EdgeError, match="Cannot write"):
        stream(detector, Scripted(), stats=tmp_path / "none" / "stats.jsonl")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"policy": "newest"}, "Unknown policy 'newest'"),
        ({"duration": 0}, "duration is 0"),
        ({"duration": float("nan")}, "duration is nan"),
        ({"max_frames": -1}, "max_frames is -1"),
    ],
)
def test_bad_settings_are_named(detector: Detector, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(EdgeError, match=message):
        stream(detector, Scripted(), **settings)
    with pytest.raises(EdgeError, match="nothing to stream"):
        stream(detector, [])


def test_source_given_twice_is_refused_and_its_uri_is_not(detector: Detector) -> None:
    source = Scripted(3)
    with pytest.raises(EdgeError, match="given twice"):
        stream(detector, [source, source])
    uri = "test://street?size=320x192&frames=3"
    seen: list[str] = []
    summary = stream(detector, [uri, uri], sinks=[lambda r: seen.append(record(r)["source"])])
    assert {name: counts.delivered for name, counts in summary.counts.items()} == Counter(seen)
    assert Counter(seen) == {f"{uri} (1)": 3, f"{uri} (2)": 3}
    odd = [Scripted(1, name=name) for name in ("a (2)", "a", "a")]
    assert len(stream(detector, odd).counts) == 3
