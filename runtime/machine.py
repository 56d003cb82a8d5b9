"""How warm the machine is and how fast it runs, where the kernel tells."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

SYS = Path("/sys")


def temperatures(root: Path = SYS) -> dict[str, float]:
    """Return sensor -> degrees Celsius; nothing where there is no sensor, as in most clouds."""
    zones = ((zone, "type", "temp") for zone in (root / "class/thermal").glob("thermal_zone*"))
    return dict(_read(zones, 1e3))


def clocks(root: Path = SYS) -> dict[str, float]:
    """Return processor -> megahertz at present: CPU cores, and a Jetson's GPU."""
    cores = (
        (policy, "affected_cpus", "scaling_cur_freq")
        for policy in (root / "devices/system/cpu/cpufreq").glob("policy*")
    )
    devices = ((device, None, "cur_freq") for device in (root / "class/devfreq").glob("*"))
    found = {f"cpu {name}": mhz for name, mhz in _read(cores, 1e3)}
    return {**found, **dict(_read(devices, 1e6))}


def _read(
    entries: Iterator[tuple[Path, str | None, str]], unit: float
) -> Iterator[tuple[str, float]]:
    """Yield name and value of each folder's files; what cannot be read is left out."""
    for folder, name, value in sorted(entries):
        with suppress(OSError, ValueError):
            words = (folder / name).read_text().strip() if name else folder.name
            yield words, float((folder / value).read_text()) / unit
