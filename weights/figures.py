"""Measure the trained networks on frames that no training or calibration saw: figures.json.

    python weights/figures.py [--runs DIR] [--frames 3000]

Each network is fused and calibrated on frames of the calibration split; then the same frames of
the val split go through the unfused and the fused float network and all-INT8 engines. Every
INT8 engine is compared with its float network by a paired bootstrap over the frames.
"""

from __future__ import annotations

import argparse
import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from train import BLOCKS, HERE, LARGE, RUNS, SMALL, run_folder

import edge_sdk
from edge_sdk import Detections, Detector
from edge_sdk.cli.console import progress_bar
from edge_sdk.converters.checkpoints import load_checkpoint
from edge_sdk.converters.export import export
from edge_sdk.converters.model_file import save_model
from edge_sdk.datasets import Dataset, open_dataset
from edge_sdk.evaluation import EVALUATION, match, mean_average_precision, paired_difference
from edge_sdk.evaluation.conditions import conditions
from edge_sdk.files import write_text
from edge_sdk.progress import Progress
from edge_sdk.training import half_checkpoint

CALIBRATION = "test://street"
CALIBRATION_FRAMES = 256
INT8 = (("openvino", "mse"), ("openvino", "max"), ("onnxruntime", "mse"))


@dataclass(frozen=True)
class Entry:
    """One network to measure: what it is, how it is opened, and what it is compared with."""

    block: str
    engine: str
    file: Path
    target: str
    against: str | None = None


def main() -> None:
    """Build every engine, run all of them over the same frames, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder of the trainings")
    parser.add_argument("--frames", type=int, default=3000)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    entries: dict[str, Entry] = {}
    for block, recipe in [*((block, SMALL) for block in BLOCKS), (BLOCKS[0], LARGE)]:
        name = f"{block} {'x'.join(map(str, recipe.input_size))}"
        with progress_bar() as progress:
            entries |= engines(name, block, run_folder(arguments.runs, block, recipe), progress)
    dataset = open_dataset(f"test://street?frames={arguments.frames}", "val")
    with progress_bar() as progress:
        predictions = detect(entries, dataset, arguments.threads, progress)
    figures = {
        "data": dataset.source, "frames": len(dataset), "evaluation": EVALUATION,
        "calibration": {"data": CALIBRATION, "frames": CALIBRATION_FRAMES},
        "conditions": conditions(threads=arguments.threads),
        "networks": compare(entries, predictions, dataset),
    }  # fmt: skip
    write_text(HERE / "figures.json", json.dumps(figures, indent=1) + "\n")
    for name, figure in figures["networks"].items():
        print(f"{name:42s} mAP50-95 {figure['map']:.4f}{_bounds(figure.get('loss'))}")


def _bounds(loss: dict[str, float] | None) -> str:
    return (
        f"  loss {loss['value']:.4f} ({loss['lower']:.4f} to {loss['upper']:.4f})" if loss else ""
    )


def engines(name: str, block: str, run: Path, progress: Progress) -> dict[str, Entry]:
    """Write the unfused, the fused and the INT8 files of a trained network called `name`."""
    work = run / "engines"
    work.mkdir(exist_ok=True)
    half_checkpoint(run / "best.safetensors", work / "half.safetensors")
    checkpoint = load_checkpoint(work / "half.safetensors")
    assert checkpoint.spec is not None
    spec = checkpoint.spec
    save_model(export(checkpoint.model, spec.class_names, spec.input_size), work / "unfused.onnx")
    model, calibration, plan = work / "model.onnx", work / "model.calib", work / "plan.yaml"
    edge_sdk.convert(work / "half.safetensors", model, progress=progress)
    edge_sdk.calibrate(model, CALIBRATION, calibration, limit=CALIBRATION_FRAMES, progress=progress)
    reference = f"{name} fused"
    entries = {
        f"{name} unfused": Entry(block, "float", work / "unfused.onnx", "onnxruntime"),
        reference: Entry(block, "float", model, "openvino", f"{name} unfused"),
    }
    for target, method in INT8:
        bundle = work / f"{target}_{method}.edge"
        edge_sdk.plan(model, calibration, target, plan)
        edge_sdk.build(
            model, calibration, plan, target, bundle, method=method, keep_int8=True,
            progress=progress,
        )  # fmt: skip
        entries[f"{name} int8 {target} {method}"] = Entry(
            block, f"int8, {method} ranges", bundle, target, reference
        )
    return entries


def detect(
    entries: dict[str, Entry], dataset: Dataset, threads: int, progress: Progress
) -> dict[str, list[Detections]]:
    """Run all networks over the frames, each of which is rendered once."""
    found: dict[str, list[Detections]] = {name: [] for name in entries}
    with ExitStack() as stack:
        detectors = {
            name: stack.enter_context(
                Detector(entry.file, target=entry.target, threads=threads, **EVALUATION)
            )
            for name, entry in entries.items()
        }
        for index, sample in enumerate(dataset.images, start=1):
            frame: np.ndarray[Any, Any] = sample.read()
            for name, detector in detectors.items():
                found[name].append(detector(frame))
            progress(index, len(dataset), "evaluating")
    return found


def compare(
    entries: dict[str, Entry], found: dict[str, list[Detections]], dataset: Dataset
) -> dict[str, Any]:
    """Return accuracy, and loss against the network that each is compared with."""
    names, samples = dataset.names, dataset.images
    matches = {name: match(predictions, samples, names) for name, predictions in found.items()}
    figures = {}
    for name, entry in entries.items():
        accuracy = mean_average_precision(found[name], samples, names).to_dict()
        figures[name] = {"block": entry.block, "engine": entry.engine, "target": entry.target}
        figures[name] |= accuracy
        if entry.against is not None:
            loss = paired_difference(matches[entry.against], matches[name])
            figures[name] |= {"against": entry.against, "loss": loss.to_dict()}
    return figures


if __name__ == "__main__":
    main()
