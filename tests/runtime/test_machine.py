from __future__ import annotations

from pathlib import Path

from edge_sdk.runtime.machine import clocks, temperatures


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_what_the_kernel_tells(tmp_path: Path) -> None:
    """The files of a Jetson, for want of one."""
    thermal = tmp_path / "class/thermal"
    write(thermal / "thermal_zone0/type", "cpu-thermal\n")
    write(thermal / "thermal_zone0/temp", "48500\n")
    write(thermal / "thermal_zone1/type", "off\n")  # without a temperature
    policy = tmp_path / "devices/system/cpu/cpufreq/policy0"
    write(policy / "affected_cpus", "0 1\n")
    write(policy / "scaling_cur_freq", "1510400\n")
    write(tmp_path / "class/devfreq/17000000.gpu/cur_freq", "624750000\n")
    assert temperatures(tmp_path) == {"cpu-thermal": 48.5}
    assert clocks(tmp_path) == {"cpu 0 1": 1510.4, "17000000.gpu": 624.75}


def test_nothing_where_the_kernel_tells_nothing(tmp_path: Path) -> None:
    assert temperatures(tmp_path) == clocks(tmp_path) == {}
    assert all(-50 < value < 150 for value in temperatures().values())
    assert all(value >= 0 for value in clocks().values())
