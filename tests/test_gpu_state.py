from __future__ import annotations

from pathlib import Path

import pytest
from fake_cuda import FakeDriver

from edge_sdk import gpu_state as module
from edge_sdk.gpu_state import gpu_state

ANSWER = "580.65.06, 1590, 5000, 61, 68.31, 70.00, 0x0000000000000004"


@pytest.fixture(autouse=True)
def two_gpus(cuda: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    from edge_sdk import cuda_driver

    monkeypatch.setattr(module, "gpus", cuda_driver.gpus)


def program(folder: Path, text: str) -> str:
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_a_servers_gpu_tells_clocks_and_heat(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    smi = program(tmp_path, f"echo '{ANSWER}'")
    monkeypatch.setattr("shutil.which", lambda name: smi)
    state = gpu_state()
    assert state["name"] == "Fake T4"
    assert (state["sm_clock_mhz"], state["temperature_c"]) == (1590.0, 61.0)
    assert (state["driver"], state["throttled"]) == ("580.65.06", "0x0000000000000004")


@pytest.mark.parametrize("text", ["exit 9", "echo nothing", "echo '[N/A]'"])
def test_a_jetson_is_read_from_its_kernel(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    smi = program(tmp_path, text)
    monkeypatch.setattr("shutil.which", lambda name: smi)
    monkeypatch.setattr(module, "_SYSTEM", tmp_path)
    clock = tmp_path / "class" / "devfreq" / "17000000.gpu" / "cur_freq"
    zone = tmp_path / "class" / "thermal" / "thermal_zone1"
    for folder in (clock.parent, zone):
        folder.mkdir(parents=True)
    clock.write_text("1300500000\n")
    (zone / "type").write_text("gpu-thermal\n")
    (zone / "temp").write_text("48062\n")
    (zone.with_name("thermal_zone2") / "type").mkdir(parents=True)  # as good as one that fails
    state = gpu_state(1)
    assert state == {
        "name": "Fake A10", "capability": "sm76", "sm_clock_mhz": 1300.5, "temperature_c": 48.062,
    }  # fmt: skip
