"""How long it takes to plan a hybrid: YOLO-NAS-S at 640 x 640, 64 images, two cores.

    python benchmarks/plan_time.py [--size s] [--images 64] [--target openvino]

What a user waits for between a float model and its plan: the calibration, then the search with its
default budget (ranges, sensitivity, latencies, plans built and measured, the report). "Again" is
the same with everything kept; "another budget" is a search that goes on from what the first one
measured. The weights are random, the images frames of the test camera.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from measure import conditions, report
from random_yolo_nas import CAMERA, write

from edge_sdk.budget import DEFAULT_SHIFT, Budget
from edge_sdk.calibration import calibrate
from edge_sdk.cli.console import progress_bar
from edge_sdk.plan_search import search_plan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="s")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--target", default="openvino")
    arguments = parser.parse_args()
    with TemporaryDirectory() as name, progress_bar() as progress:
        folder = Path(name)
        model = write(folder / "model.onnx", arguments.size)
        counts, output = folder / "model.calib", folder / "plan.yaml"
        found: list[Any] = []

        def calibration() -> None:
            calibrate(model, CAMERA, counts, limit=arguments.images, progress=progress)

        def search(shift: float) -> None:
            budget = Budget(max_shift=shift)
            found.append(
                search_plan(model, counts, arguments.target, output, budget, progress=progress)
            )

        steps: dict[str, Callable[[], None]] = {
            "calibration": calibration,
            "search": lambda: search(DEFAULT_SHIFT),
            "calibration again": calibration,
            "search again": lambda: search(DEFAULT_SHIFT),
            "search, another budget": lambda: search(DEFAULT_SHIFT / 3),
        }
        rows = [{"what": what, "seconds": round(seconds(step), 1)} for what, step in steps.items()]
    report(
        "plan_time",
        rows,
        {
            **conditions(threads=os.cpu_count() or 1),
            "network": f"YOLO-NAS-{arguments.size.upper()}, random weights, 640 x 640",
            "images": arguments.images,
            "target": arguments.target,
            "plans_built": len(found[0].trials),
            "goal": "calibration and search under 600 s; again under 60 s",
        },
    )


def seconds(step: Callable[[], None]) -> float:
    """Return how long a step takes."""
    start = perf_counter()
    step()
    return perf_counter() - start


if __name__ == "__main__":
    main()
