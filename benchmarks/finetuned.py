"""From training to the engine: what each step costs networks that were trained here.

    python benchmarks/finetuned.py WORK SUBJECT --weights CHECKPOINT
    python benchmarks/finetuned.py --table

SUBJECT is n_street, bccd or aquarium. Float is the network with the branches of its training,
fused has one convolution a block; then all layers in INT8, and the hybrids that the search finds
for two shifts. Where all-INT8 loses more than --worth points, it is trained with its rounding
(`edge-sdk qat`). Everything runs in OpenVINO, is calibrated and trained on training images and
measured on held-out ones: points of mAP50-95, and the points lost against float with two-sided
95 % bounds (paired bootstrap over images, which are seen in several views where they are few; see
`views.py`). What has been made in WORK/SUBJECT is not made again. `--table` prints the results of
all subjects as Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch
from hybrid_accuracy import detect, losses
from hybrid_subjects import Subject, subjects
from hybrid_workshop import ALL_INT8, FLOAT, HYBRID, Candidate, Workshop
from measure import RESULTS, conditions, report

from edge_sdk.calibration import Calibration
from edge_sdk.cli.console import progress_bar
from edge_sdk.converters.checkpoints import load_checkpoint
from edge_sdk.converters.export import export
from edge_sdk.converters.layer_groups import layer_groups
from edge_sdk.converters.lowering import lowering
from edge_sdk.converters.lowering.instruction_set import needs_seven_bit_weights
from edge_sdk.converters.model_file import load_model, model_key, save_model
from edge_sdk.evaluation import EVALUATION
from edge_sdk.precision_plan import PrecisionPlan
from edge_sdk.quantization_table import QuantizationTable
from edge_sdk.training.qat import Quantized, qat, qat_recipe

PROJECT = Path(__file__).resolve().parents[1]
SUBJECTS = ("n_street", "bccd", "aquarium")
TARGET = "openvino"
FUSED, QAT = "fused", "QAT"
SHIFTS = (0.003, 0.0005)
HYBRIDS = tuple(f"{HYBRID}: shift {shift:g}" for shift in SHIFTS)
STAGES = (FLOAT, FUSED, f"{ALL_INT8}: mse", *HYBRIDS, QAT)


def trained(workshop: Workshop, folder: Path, steps: int, lr: float) -> Candidate:
    """Train the all-INT8 network with its rounding, if that is not done yet."""
    graph = load_model(workshop.model)
    plan = PrecisionPlan(model_key(graph), TARGET, tuple(layer_groups(graph)))
    table = Calibration.load(workshop.calibration).quantization_table(graph, TARGET, plan.ranges)
    start = Quantized(graph, table, plan, needs_seven_bit_weights(TARGET))
    data = "test://street" if workshop.subject.street else workshop.subject.labels[0]
    with progress_bar() as progress:
        made = qat(
            start, qat_recipe(start, data, steps=steps, lr=lr), folder / "qat",
            progress=progress, report=print,
        )  # fmt: skip
    best = lowering(TARGET)(
        load_model(made.model), QuantizationTable.load(made.table), plan.int8_layers,
        seven_bit_weights=start.seven_bit_weights,
    )  # fmt: skip
    path = folder / f"{QAT}.onnx"
    save_model(best, path)
    return Candidate(QAT, "", path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", nargs="?", type=Path)
    parser.add_argument("subject", nargs="?", choices=SUBJECTS)
    parser.add_argument("--weights", type=Path, help="checkpoint with its branches")
    parser.add_argument("--shared", type=Path, default=PROJECT.parent / "shared")
    parser.add_argument("--frames", type=int, default=1000, help="of the test camera")
    parser.add_argument("--steps", type=int, default=60, help="of the training")
    parser.add_argument("--lr", type=float, default=5e-5, help="of the training, at its peak")
    parser.add_argument("--worth", type=float, default=0.3, help="points lost that call for it")
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    if arguments.table:
        print(markdown())
        return
    if None in (arguments.work, arguments.subject, arguments.weights):
        parser.error("give WORK, SUBJECT and --weights, or --table")
    torch.set_num_threads(1)
    subject = subjects(PROJECT, arguments.shared, arguments.weights, arguments.frames)[
        arguments.subject
    ]
    folder = arguments.work / arguments.subject
    measure(arguments.subject, subject, folder, arguments.steps, arguments.lr, arguments.worth)


def measure(name: str, subject: Subject, folder: Path, steps: int, lr: float, worth: float) -> None:
    """Make all engines, run them over the held-out images, and report."""
    workshop = Workshop(subject, folder, TARGET, {})
    candidates = [
        Candidate(FLOAT, "", unfused(workshop)),
        Candidate(FUSED, "", workshop.model),
        workshop.bundle(ALL_INT8, "mse"),
        *(
            workshop.bundle(HYBRID, f"shift {shift:g}", limits={"max_shift": shift})
            for shift in SHIFTS
        ),
    ]
    dataset, views = subject.dataset(), subject.views
    found = detect(folder / "detections", candidates, TARGET, workshop.spec, dataset)
    rows = losses(found, dataset, views)
    if rows[candidates[2].name]["loss"] > worth:
        candidates.append(trained(workshop, folder, steps, lr))
        found = detect(folder / "detections", candidates, TARGET, workshop.spec, dataset)
        rows = losses(found, dataset, views)
    report(
        f"finetuned_{name}",
        [{"what": what, **row} for what, row in rows.items()],
        {
            **conditions(threads=1), "target": TARGET, "data": name,
            "split": dataset.split, "images": len(dataset) // views,
            "input": list(workshop.spec.input_size),
            "training": f"{steps} steps of 8 images, learning rate {lr:g}", **EVALUATION,
        },
    )  # fmt: skip


def unfused(workshop: Workshop) -> Path:
    """Write the network as it was trained, with all branches."""
    path = workshop.folder / "unfused.onnx"
    if not path.is_file():
        checkpoint = load_checkpoint(workshop.subject.source)
        assert checkpoint.spec is not None
        save_model(
            export(checkpoint.model, checkpoint.spec.class_names, checkpoint.spec.input_size), path
        )
    return path


def markdown() -> str:
    """Return all results as one table: a row a stage, a column a data set."""
    paths = [RESULTS / f"finetuned_{name}.json" for name in SUBJECTS]
    results = [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.is_file()]
    facts = [result["conditions"] for result in results]
    heads = [f"{one['data']}, {one['split']}, {one['images']} images" for one in facts]
    lines = [["mAP50-95 x 100; points lost", *heads], ["---"] * (len(heads) + 1)]
    for stage in STAGES:
        lines.append([stage, *(_cell(result["rows"], stage) for result in results)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(rows: list[dict[str, Any]], stage: str) -> str:
    row = next((row for row in rows if row["what"] == stage), None)
    if row is None:
        return "-"
    if stage == FLOAT:
        return f"{row['mAP50_95']:.2f}"
    # Adding zero takes the sign from a zero.
    loss, lower, upper = (round(row[name], 2) + 0.0 for name in ("loss", "lower", "upper"))
    return f"{row['mAP50_95']:.2f}; {loss:.2f} ({lower:.2f} to {upper:.2f})"


if __name__ == "__main__":
    main()
