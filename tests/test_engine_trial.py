from pathlib import Path

import pytest

from edge_sdk.engine_trial import EngineTrial


@pytest.mark.parametrize(
    ("target", "threads", "clock"),
    [
        ("openvino", 1, "cpu"),
        ("onnxruntime", 1, "cpu"),
        ("openvino", None, "wall"),
        ("openvino", 2, "wall"),
        ("tensorrt", 1, "wall"),  # the work is done elsewhere
    ],
)
def test_the_clock_is_that_of_who_does_the_work(
    target: str, threads: int | None, clock: str, tmp_path: Path
) -> None:
    assert EngineTrial(target, tmp_path, threads).clock == clock


def test_one_thread_is_timed_by_what_it_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine on which half of the time goes to others."""
    import time

    import onnx
    from tiny import tiny_spec, write_tiny_model

    graph = onnx.load(write_tiny_model(tmp_path / "tiny.onnx"))
    trial = EngineTrial("onnxruntime", tmp_path / "engines", 1)
    trial.folder.mkdir()
    trial.add("float", graph)
    monkeypatch.setattr(time, "perf_counter", lambda: pytest.fail("the wall clock was read"))
    trial.time(tiny_spec())
    assert 0 < trial.times["float"].median < 1000
    assert trial.measured()["conditions"]["clock"] == "cpu"
