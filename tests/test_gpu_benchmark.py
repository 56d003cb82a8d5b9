"""The GPU benchmark's own logic; no GPU is needed, and no figure of it is checked."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from fake_tensorrt import FakeTensorrt, engine_bytes
from tiny import tiny_spec

from edge_sdk.bundle import write_bundle
from edge_sdk.cuda_driver import gpus
from edge_sdk.errors import EdgeError
from edge_sdk.runtime.log import log

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks" / "gpu"
NAMES = [path.stem for path in FOLDER.glob("*.py")]


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(FOLDER))
    import parts

    monkeypatch.setattr(parts, "RESULTS", tmp_path)
    yield parts
    for name in NAMES:
        sys.modules.pop(name, None)


def test_without_a_gpu_it_says_so_and_ends() -> None:
    try:
        gpus()
    except EdgeError:
        pass
    else:
        pytest.skip("there is a driver here")
    command = [str(FOLDER / "run_all")]
    environment = {"PYTHON": sys.executable, "PYTHONPATH": str(FOLDER.parents[1])}
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=60, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("The GPU benchmark cannot run: There is no NVIDIA driver here")
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_every_part_is_a_module(parts: ModuleType) -> None:
    assert set(parts.PARTS) <= set(NAMES)


def test_a_failed_part_is_told_and_the_others_go_on(
    parts: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[str] = []

    def run(part: str, seconds: float) -> int:
        done.append(part)
        if part != "kernels":
            parts.result_of(part).write_text("{}")
        return int(part == "kernels")

    assert parts.run_all(["probe", "kernels", "engine"], 1e9, run) == 1
    assert done == ["probe", "kernels", "engine"]
    assert "kernels: failed (status 1)" in capsys.readouterr().out
    assert parts.run_all(["kernels"], parts.LEAST / 2, run) == 1
    assert len(done) == 3
    assert parts.run_all([], 1e9, run) == 0


def test_nine_minutes_begin_parts_and_go_on_the_next_time(
    parts: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, limits = 0.0, []

    def run(part: str, seconds: float) -> int:
        nonlocal now
        limits.append(seconds)
        now += 250
        return 0

    monkeypatch.setattr(parts, "monotonic", lambda: now)
    assert parts.run_all(parts.PARTS, 9 * 60, run) == 1
    assert limits == [540, 290]
    assert parts.run_all(parts.PARTS[2:4], 20 * 60, run) == 0
    assert limits[2:] == [570, 570]


@pytest.mark.slow
def test_the_engine_is_built_of_the_network_in_the_repository(
    parts: ModuleType, trt: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Ahead of time, for a GPU that is not here."""
    import engine
    import subject

    monkeypatch.setattr(subject, "WORK", tmp_path / "work")
    monkeypatch.setattr(subject, "IMAGES", 2)
    parts.result_of("probe").write_text(json.dumps({"target": "tensorrt-rtx:sm75"}))
    result = engine.run()
    assert result["rows"][0]["target"] == "tensorrt-rtx:sm75"
    assert result["remarks"][0].startswith("98 of 98 planned INT8 layers")


def test_a_result_is_kept_with_its_conditions(
    parts: ModuleType, fake_trt: FakeTensorrt, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_sdk import cuda_driver, gpu_state

    monkeypatch.setattr(gpu_state, "gpus", cuda_driver.gpus)
    part = ModuleType("kernels")

    def run() -> dict[str, Any]:
        for _ in range(2):
            log.info("kernel by kernel")
        return {"rows": [{"a": 1}], "remarks": ["fine"]}

    part.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "kernels", part)
    with pytest.raises(EdgeError, match="'kernels' has no result yet"):
        parts.read_result("kernels")
    assert parts.run_part("kernels") == 0
    kept = parts.read_result("kernels")
    assert kept["rows"] == [{"a": 1}]
    assert kept["log"] == ["kernel by kernel"]
    assert kept["conditions"]["gpu_before"]["name"] == "Fake T4"


def test_latency_compares_the_bare_engine_with_ours(
    parts: ModuleType, fake_trt: FakeTensorrt, tmp_path: Path
) -> None:
    """Over a fake TensorRT: that every way runs, not how fast."""
    import latency

    spec = tiny_spec()
    file = "engines/tensorrt/fake.engine"
    manifest: dict[str, Any] = {
        "head_spec": spec.to_dict(),
        "engines": {"tensorrt": {"file": file}},
    }
    path = write_bundle(tmp_path / "fake.edge", {file: engine_bytes(spec)}, manifest)
    frames = [np.zeros((90, 160, 3), np.uint8)]
    with latency.bare(path / file, "tensorrt") as once:
        rows = latency.measure(once, path, "tensorrt", frames, rounds=2, count=5)
    assert [row["what"] for row in rows] == ["bare engine", "ours, 2 threads", "ours, 1 thread"]
    assert rows[0]["of bare"] == 1.0
    assert json.dumps(rows)


def test_the_target_is_what_the_probe_found(parts: ModuleType) -> None:
    import subject

    for found in ("tensorrt-rtx:sm89", None):
        parts.result_of("probe").write_text(json.dumps({"target": found}))
        if found:
            assert subject.target() == found
        else:
            with pytest.raises(EdgeError, match=r"see gpu_probe\.json"):
                subject.target()


def test_a_library_that_crashes_is_written_down(
    parts: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import probe

    script = tmp_path / "crash.py"
    script.write_text("import os, sys; print('x', file=sys.stderr); os.kill(os.getpid(), 11)")
    monkeypatch.setattr(probe, "__file__", str(script))
    assert probe._try("tensorrt") == "ends with signal 11: x"
    script.write_text("print('noise'); print('10.3.0, runs')")
    assert probe._try("tensorrt") == "10.3.0, runs"


def test_a_library_that_hangs_is_written_down(
    parts: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import probe

    script = tmp_path / "hang.py"
    script.write_text("import time; time.sleep(60)")
    monkeypatch.setattr(probe, "__file__", str(script))
    monkeypatch.setattr(probe, "_SECONDS", 1)
    assert probe._try("tensorrt") == "is not through after 1 s"
