"""How a GPU is just now: what decides how fast it is beside the work."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

from edge_sdk.cuda_driver import gpus

_FIELDS = {
    "driver": "driver_version",
    "sm_clock_mhz": "clocks.sm",
    "memory_clock_mhz": "clocks.mem",
    "temperature_c": "temperature.gpu",
    "power_w": "power.draw",
    "power_limit_w": "power.limit",
    "throttled": "clocks_throttle_reasons.active",
}
"""What it is called here -> what nvidia-smi calls it."""
_SYSTEM = Path("/sys")

State = dict[str, str | float]


def gpu_state(device: int = 0) -> State:
    """Return the GPU's name, clocks, temperature and power, as far as the machine tells them.

    Raises
    ------
    EdgeError
        If there is no driver.
    """
    gpu = gpus()[device]
    found: State = {"name": gpu.name, "capability": gpu.capability}
    program = shutil.which("nvidia-smi")
    if program is not None:
        found.update(_ask(program, device))
    if "sm_clock_mhz" not in found:
        found.update(_jetson())
    return found


def _ask(program: str, device: int) -> State:
    """Return what nvidia-smi answers; on a Jetson that is little or nothing."""
    command = [
        program, f"--query-gpu={','.join(_FIELDS.values())}", "--format=csv,noheader,nounits",
        f"--id={device}",
    ]  # fmt: skip
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return {}
    values = [value.strip() for value in answer.stdout.strip().split(",")]
    if len(values) != len(_FIELDS):
        return {}
    pairs = zip(_FIELDS, values, strict=True)
    return {name: _number(value) for name, value in pairs if not value.startswith("[")}


def _jetson() -> State:
    """Return the clock and temperature that the kernel of a Jetson tells."""
    found: State = {}
    for clock in sorted(_SYSTEM.glob("class/devfreq/*g[apv]*/cur_freq")):
        with suppress(OSError, ValueError):  # what sleeps may not answer
            found["sm_clock_mhz"] = float(clock.read_text()) / 1e6
    for zone in sorted(_SYSTEM.glob("class/thermal/thermal_zone*")):
        with suppress(OSError, ValueError):
            if "gpu" in (zone / "type").read_text().lower():
                found["temperature_c"] = float((zone / "temp").read_text()) / 1000
    return found


def _number(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text
