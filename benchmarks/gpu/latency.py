"""Our runtime against the engine alone: what a frame costs beyond the network itself.

bare        the engine launched again and again, nothing copied: what the GPU can do at best
ours        frames of 1920 x 1080 in host memory to detections, by as many threads as the detector
            has streams; the goal is 1.03 of bare, copies and all
trtexec     NVIDIA's own measurement of the same engine, where it is installed
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
from subject import bundle, target

from edge_sdk.bundle import Bundle
from edge_sdk.runtime import Detector
from edge_sdk.runtime.backends.tensorrt_chain import result_bytes
from edge_sdk.runtime.backends.tensorrt_execution import Execution
from edge_sdk.runtime.backends.tensorrt_plan import Plan
from edge_sdk.runtime.cuda.context import Context
from edge_sdk.runtime.cuda.memory import DeviceBuffer
from edge_sdk.runtime.cuda.replay import Replay
from edge_sdk.runtime.cuda.resources import Resources
from edge_sdk.runtime.cuda.stream import Stream
from edge_sdk.suppression import RUNNING

SIZE = (1080, 1920, 3)
GOAL = 1.03
JETPACK = "/usr/src/tensorrt/bin"
ROUNDS, FRAMES = 12, 400


def run() -> dict[str, Any]:
    """Measure in turn, round by round, so that the GPU's clocks hit all alike."""
    frames = list(np.random.default_rng(0).integers(0, 256, (8, *SIZE), np.uint8))
    with Bundle.open(bundle()) as opened:
        engine = opened.engine_file(target())
        with bare(engine, target()) as once:
            rows = measure(once, bundle(), target(), frames)
        official = trtexec(engine)
    if official is not None:
        rows.append({"what": "trtexec, GPU compute time, median", "ms a frame": official})
    ratio = rows[1]["of bare"]
    out = result_bytes(RUNNING["max_detections"])
    return {
        "rows": rows,
        "remarks": [
            f"ours / bare: {ratio} (goal {GOAL}); {out} bytes a frame leave the GPU (goal 8192)."
        ],
    }


def measure(
    once: Callable[[int], None], path: Path, library: str, frames: list[npt.NDArray[np.uint8]],
    rounds: int = ROUNDS, count: int = FRAMES,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return one row for each way, in milliseconds a frame: medians over rounds."""
    with Detector(path, target=library) as many, ThreadPoolExecutor(many.parallel) as pool:

        def stream() -> None:
            list(pool.map(lambda number: many(frames[number % len(frames)]), range(count)))

        def alone() -> None:
            for number in range(count):
                many(frames[number % len(frames)])

        ways = {
            "bare engine": lambda: once(count),
            f"ours, {many.parallel} threads": stream,
            "ours, 1 thread": alone,
        }
        times: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(rounds + 1):
            for name, way in ways.items():
                start = perf_counter()
                way()
                if turn:  # the first one warms up
                    times[name].append(1000 * (perf_counter() - start) / count)
    medians = {name: float(np.median(values)) for name, values in times.items()}
    return [
        {
            "what": name, "ms a frame": round(median, 4),
            "of bare": round(median / medians["bare engine"], 4),
            "spread": [round(float(np.percentile(times[name], part)), 4) for part in (10, 90)],
        }
        for name, median in medians.items()
    ]  # fmt: skip


@contextmanager
def bare(engine: Path, library: str) -> Iterator[Callable[[int], None]]:
    """Lend a function that runs an engine so many times, back to back, as a CUDA graph."""
    context = Context.open()
    resources = Resources(context)
    with context:
        plan = Plan.open(engine, library, context)
        stream = resources.keep(Stream())
        execution = Execution(plan, 1, resources)
        for name, tensor in (*plan.inputs.items(), *plan.outputs.items()):
            size = int(np.prod(execution.shapes[name])) * tensor.dtype.itemsize
            execution.bind(name, resources.keep(DeviceBuffer(size)).address)
        replay = Replay(stream, lambda: execution.enqueue(stream), resources)

    def once(count: int) -> None:
        with context:
            for _ in range(count):
                replay()
            stream.synchronize()

    try:
        yield once
    finally:
        resources.close()


def trtexec(engine: Path) -> float | None:
    """Return NVIDIA's figure in milliseconds, None where its program is not there or hangs."""
    program = shutil.which("trtexec") or shutil.which("trtexec", path=JETPACK)
    if program is None:
        return None
    options = ["--useCudaGraph", "--noDataTransfers", "--duration=10"]
    try:
        done = subprocess.run(
            [program, f"--loadEngine={engine}", *options],
            capture_output=True, text=True, timeout=200, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return None
    found = re.search(r"GPU Compute Time:.*?median = ([\d.]+) ms", done.stdout)
    return float(found[1]) if found else None
