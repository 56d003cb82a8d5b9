from __future__ import annotations

import time

import pytest

from edge_sdk.evaluation.conditions import conditions, version_of
from edge_sdk.evaluation.timing import interleaved


def test_callables_take_turns_and_warm_up():
    calls: list[str] = []
    work = {name: lambda name=name: calls.append(name) for name in "ab"}
    timings = interleaved(work, repetitions=3, warmup=2)
    assert calls == ["a", "b"] * 5
    assert [timing.n for timing in timings.values()] == [3, 3]


def test_a_gpu_has_time_to_raise_its_clocks():
    begins = []
    interleaved({"a": lambda: begins.append(time.perf_counter())}, repetitions=1, settling=0.05)
    assert begins[-1] - begins[0] >= 0.045
    assert len(begins) > 4


def test_milliseconds():
    timing = interleaved({"nap": lambda: time.sleep(0.02)}, repetitions=3, warmup=0)["nap"]
    assert 20 <= timing.p10 <= timing.median <= timing.p90 < 500


def test_conditions_name_the_machine(monkeypatch):
    found = conditions(threads=3)
    assert found["threads"] == 3
    assert {"cpu", "cores", "numpy", "date"} <= set(found)
    monkeypatch.setenv("OMP_NUM_THREADS", "5,2")
    assert conditions()["threads"] == 5
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert conditions()["threads"] == conditions()["cores"]


def test_versions_are_found_under_any_distribution():
    assert version_of("opencv")
    assert version_of("no-such-package") is None


def test_latency_counts_every_sample_but_the_warm_up(tiny_model):
    import numpy as np

    from edge_sdk.evaluation.latency import STAGES, measure_latency
    from edge_sdk.runtime import Detector

    frames = [np.zeros((60, 80, 3), np.uint8)] * 2
    with Detector(tiny_model, target="onnxruntime", threads=1) as detector:
        latency = measure_latency({"tiny": detector}, frames, repetitions=7, warmup=2)["tiny"]
    stages = latency.to_dict()
    assert tuple(stages) == STAGES
    for stage in stages.values():
        assert stage["samples"] == 7
        assert 0 < stage["p50"] <= stage["p90"] <= stage["p99"] <= stage["max"]
    parts = sum(stages[name]["mean"] for name in STAGES[:3])
    assert stages["total"]["mean"] == pytest.approx(parts)
