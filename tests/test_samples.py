"""Every sample runs, as a user would run it."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import edge_sdk
from edge_sdk.bundle import Bundle
from edge_sdk.runtime import open_source

SAMPLES = Path(__file__).resolve().parents[1] / "samples"


def run(sample: str, *arguments: object) -> list[str]:
    """Return the lines that a sample printed."""
    program = subprocess.run(
        [sys.executable, str(SAMPLES / sample), *map(str, arguments)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert program.returncode == 0, program.stderr
    return program.stdout.splitlines()


def test_every_sample_is_tested() -> None:
    tested = Path(__file__).read_text(encoding="utf-8")
    assert [path.name for path in SAMPLES.glob("*.py") if f'"{path.name}"' not in tested] == []


def test_the_demo_installs_all_that_it_uses() -> None:
    """Else it goes on without, in a worse way: a video that is no H.264, a slower engine."""
    makefile = (SAMPLES.parent / "Makefile").read_text(encoding="utf-8")
    (extras,) = re.findall(r"/demo\.stamp:.*\n\t.*\[(.*)\]", makefile)
    assert set(extras.split(",")) == {"train", "openvino", "camera"}
    # An environment that was made by an earlier Makefile is made complete.
    assert re.search(r"^BUILD_INPUTS := Makefile ", makefile, re.MULTILINE)


def test_the_demo_ends_where_its_stream_is_interrupted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(SAMPLES / "demo")
    spec = importlib.util.spec_from_file_location("demo", SAMPLES / "demo" / "__main__.py")
    assert spec is not None
    assert spec.loader is not None
    demo = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(demo)
    for name in ("measure", "draw_run", "write_page", "conclude"):
        monkeypatch.setattr(demo, name, lambda *_: None)
    monkeypatch.setattr(edge_sdk, "deploy", lambda *_, **__: None, raising=False)

    summary = SimpleNamespace(fps=1.0, delivered=1)
    monkeypatch.setattr(edge_sdk, "stream", lambda *_, **__: summary, raising=False)
    demo.main(["--output", str(tmp_path), "--stream-frames", "1"])
    with pytest.raises(KeyboardInterrupt):
        demo.main(["--output", str(tmp_path), "--stream-frames", "2"])


def test_calibrate_folder(tiny_model: Path, tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    (tmp_path / "images").mkdir()
    for frame in open_source("test://street?size=320x192&frames=4&split=calibration"):
        cv2.imwrite(str(tmp_path / "images" / f"{frame.index}.png"), frame.image)
    output = tmp_path / "model.edge"
    lines = run("calibrate_folder.py", tiny_model, tmp_path / "images", output)
    assert lines == [f"{output}: car, truck, pedestrian", "engines: openvino"]
    with Bundle.open(output) as bundle:
        assert bundle.targets == ("openvino",)


def test_stream_camera(tiny_bundle: Path, tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    video = tmp_path / "seen.mp4"
    lines = run(
        "stream_camera.py", tiny_bundle, "--seconds", 2, "--video", video,
        "--source", "test://street?size=160x96&fps=10",
    )  # fmt: skip
    assert lines[0].startswith("frame 0, ")
    assert "captured" in lines[-2]
    assert "a second; age" in lines[-1]
    with open_source(video) as source:
        assert 5 <= len(list(source)) <= 21


def test_embed(tiny_bundle: Path) -> None:
    lines = run("embed.py", tiny_bundle, "--frames", 5, "--workers", 3)
    assert [line.split(":")[0] for line in lines] == [f"slot {slot}" for slot in range(5)]


@pytest.mark.parametrize("sample", ["embed_pycuda.py", "embed_torch.py"])
def test_samples_for_a_gpu_say_what_they_need(sample: str, tiny_bundle: Path) -> None:
    if sample == "embed_torch.py":
        pytest.importorskip("torch")
    if Path("/proc/driver/nvidia/version").exists():
        pytest.skip("there is a GPU here: run it with a bundle that was built for it")
    program = subprocess.run(
        [sys.executable, str(SAMPLES / sample), str(tiny_bundle)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert program.returncode == 1
    assert len(program.stderr.splitlines()) == 1
    assert program.stderr.startswith("This sample needs")
