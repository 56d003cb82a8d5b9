"""The test camera: frames a second of one thread, scene update and rendering together.

python benchmarks/street.py

Frames of many worlds in turn, as a data set has them, without building the worlds; then what
building one costs. Wall time and, because other processes may share the cores, processor time.
"""

from __future__ import annotations

import time
from itertools import cycle, islice
from typing import Any

import numpy as np
from measure import conditions, report

from edge_sdk.runtime.sources.street import Street

SIZES = {"1280x720": (720, 1280), "640x360": (360, 640), "416x234": (234, 416)}
WORLDS = 24
FRAMES = 240


def frame_times(size: tuple[int, int]) -> tuple[Any, Any, float]:
    """Return wall and processor milliseconds of every frame, and objects a frame."""
    streets = [Street(seed, size) for seed in range(WORLDS)]
    streets[0].frame(0)
    wall, processor, objects = [], [], 0
    for number, street in enumerate(islice(cycle(streets), FRAMES)):
        start, started = time.perf_counter(), time.thread_time()
        frame = street.frame(7 * number)
        processor.append(1000 * (time.thread_time() - started))
        wall.append(1000 * (time.perf_counter() - start))
        objects += len(frame.boxes)
    return np.array(wall), np.array(processor), objects / FRAMES


def building_time(size: tuple[int, int]) -> float:
    """Return the median of processor milliseconds that a new world takes."""
    times = []
    for seed in range(100):
        started = time.thread_time()
        Street(seed, size, split="train")
        times.append(1000 * (time.thread_time() - started))
    return float(np.median(times))


def main() -> None:
    rows = []
    for name, size in SIZES.items():
        wall, processor, objects = frame_times(size)
        rows.append(
            {
                "size": name,
                "wall ms": round(float(np.median(wall)), 2),
                "p90": round(float(np.percentile(wall, 90)), 2),
                "processor ms": round(float(np.median(processor)), 2),
                "fps of one core": round(1000 * FRAMES / float(processor.sum()), 1),
                "new world ms": round(building_time(size), 2),
                "labels a frame": round(objects, 1),
                "n": FRAMES,
            }
        )
    report("street", rows, conditions(threads=1))


if __name__ == "__main__":
    main()
