"""The hybrids of Edge SDK against float, all INT8, hand-made lists and other tools.

    python benchmarks/hybrid.py WORK SUBJECT [--part accuracy|latency] [--target onnxruntime]
        [--peers PYTHON] [--modelopt PYTHON]

SUBJECT is n_street, yolox_nano, bccd or aquarium (the last two with --weights). Every candidate
is made of one float graph and calibrated on the same images, with each tool's own presets; all
run in the same engine with the same threads. Accuracy is of held-out data: points of mAP50-95
lost against float, with two-sided 95 % bounds (paired bootstrap over images, which are seen in
several views where they are few; see `views.py`). Both parts keep what they have measured in
WORK/SUBJECT; with no --part both are measured and reported. The latency counts only on a quiet
machine.

Peers run in environments of their own:

    python -m venv P && P/bin/pip install nncf openvino onnxruntime onnx
    python -m venv M && M/bin/pip install "onnx<1.22" "onnxruntime<1.25" onnx-graphsurgeon \\
        onnxconverter-common onnxscript onnxslim polygraphy lief cppimport omegaconf pydantic \\
        torch regex rich scipy ninja pulp nvidia-ml-py tqdm
    M/bin/pip install --no-deps nvidia-modelopt
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from hybrid_accuracy import detect, losses
from hybrid_front import draw, front
from hybrid_latency import CLOCKS, latencies
from hybrid_subjects import subjects
from hybrid_workshop import ALL_INT8, FLOAT, Candidate, Workshop
from measure import RESULTS, conditions, report

from edge_sdk.evaluation import EVALUATION
from edge_sdk.files import write_text

PROJECT = Path(__file__).resolve().parents[1]


def main() -> None:
    arguments = _arguments()
    subject = subjects(PROJECT, arguments.shared, arguments.weights, arguments.frames)[
        arguments.subject
    ]
    pythons = {name: getattr(arguments, name) for name in ("peers", "modelopt")}
    workshop = Workshop(
        subject,
        arguments.work / arguments.subject,
        arguments.target,
        {name: path for name, path in pythons.items() if path},
    )
    candidates = workshop.candidates()
    if arguments.part != "latency":
        _accuracy(workshop, candidates)
    if arguments.part != "accuracy":
        _latency(workshop, candidates, arguments)
    _report(workshop, candidates, f"hybrid_{arguments.subject}_{arguments.target}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path)
    parser.add_argument("subject")
    parser.add_argument("--part", choices=("accuracy", "latency"))
    parser.add_argument("--target", default="openvino")
    parser.add_argument("--shared", type=Path, default=PROJECT.parent / "shared")
    parser.add_argument("--weights", type=Path, help="checkpoint of the subject")
    parser.add_argument("--frames", type=int, default=3000, help="of the test camera")
    parser.add_argument("--peers", type=Path, help="Python with nncf, openvino and onnxruntime")
    parser.add_argument("--modelopt", type=Path, help="Python with nvidia-modelopt")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repetitions", type=int, default=50)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    return parser.parse_args()


def _accuracy(workshop: Workshop, candidates: list[Candidate]) -> None:
    dataset, views = workshop.subject.dataset(), workshop.subject.views
    found = detect(
        workshop.folder / "detections", candidates, workshop.target, workshop.spec, dataset
    )
    _keep(workshop, "accuracy", losses(found, dataset, views), {
        "data": f"{Path(dataset.source).name} {dataset.split}", "images": len(dataset) // views,
        "views": views, "calibration_images": len(np.load(workshop.inputs, mmap_mode="r")),
        **EVALUATION,
    })  # fmt: skip


def _latency(
    workshop: Workshop, candidates: list[Candidate], arguments: argparse.Namespace
) -> None:
    times = latencies(
        candidates, workshop.target, workshop.spec, np.load(workshop.inputs, mmap_mode="r")[0],
        threads=arguments.threads, repetitions=arguments.repetitions, clock=arguments.clock,
    )  # fmt: skip
    _keep(workshop, "latency", {name: timing._asdict() for name, timing in times.items()}, {
        "clock": arguments.clock, "input": f"1 x 3 x {workshop.spec.input_size}",
        "repetitions": arguments.repetitions, **conditions(arguments.threads),
    })  # fmt: skip


def _keep(workshop: Workshop, part: str, rows: dict[str, Any], conditions: dict[str, Any]) -> None:
    path = workshop.folder / f"{workshop.target}.{part}.json"
    write_text(path, json.dumps({"conditions": conditions, "rows": rows}, indent=1))


def _report(workshop: Workshop, candidates: list[Candidate], name: str) -> None:
    """Report what both parts have measured, as far as it is there."""
    known: dict[str, Any] = {}
    for part in ("accuracy", "latency"):
        path = workshop.folder / f"{workshop.target}.{part}.json"
        if not path.is_file():
            print(f"The {part} is not measured yet.")
            return
        known[part] = json.loads(path.read_text(encoding="utf-8"))
    accuracy, times = (known[part]["rows"] for part in ("accuracy", "latency"))
    measured = [one for one in candidates if one.name in accuracy and one.name in times]
    slow = times[FLOAT]["median"]
    all_int8 = [one for one in measured if one.what == ALL_INT8]
    int8 = min(all_int8, key=lambda one: accuracy[one.name]["loss"])
    gain = slow - times[int8.name]["median"]
    rows = [
        {
            "name": one.name, "what": one.what, "preset": one.preset, **accuracy[one.name],
            "ms": round(times[one.name]["median"], 2),
            "ratio": round(slow / times[one.name]["median"], 3),
            "gain_kept": round((slow - times[one.name]["median"]) / gain, 3),
        }
        for one in measured
    ]  # fmt: skip
    best = front(rows)
    shown = [{**row, "front": row["name"] in best} for row in rows]
    for row in shown:
        del row["name"]
    report(name, shown, {
        "target": workshop.target, "all_int8": int8.preset,
        **known["accuracy"]["conditions"], **known["latency"]["conditions"],
    })  # fmt: skip
    draw(rows, name.replace("_", " "), RESULTS / f"{name}.png")


if __name__ == "__main__":
    main()
