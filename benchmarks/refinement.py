"""What can be done for INT8 layers, step by step: YOLOX-nano on COCO, in OpenVINO.

Ranges by each method, ranges chosen for each scale group, learned rounding and corrected biases:
with all layers in INT8, and with the one group in float that the sensitivity analysis finds worst.
Everything is learned on 128 images of train2017 (ranges), or on 16 of them, and measured on 128
images of val2017. The shift is that of the outputs on 8 training images.

    python benchmarks/refinement.py [FOLDER with weights/ and data/]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from measure import conditions, report

from edge_sdk.calibration import calibrate
from edge_sdk.calibration.bias_correction import correct_biases
from edge_sdk.calibration.pictures import network_inputs
from edge_sdk.calibration.range_choice import METHODS, choose_ranges
from edge_sdk.calibration.rounding import learn_rounding
from edge_sdk.calibration.sensitivity import measure_sensitivity, measure_shift
from edge_sdk.converters.convert import convert
from edge_sdk.converters.layer_groups import layer_groups
from edge_sdk.converters.lowering import lowering
from edge_sdk.converters.model_file import load_model, save_model
from edge_sdk.datasets import open_dataset
from edge_sdk.evaluation import EVALUATION
from edge_sdk.evaluation.evaluate import evaluate
from edge_sdk.runtime import Detector, open_engine

SHARED = Path(__file__).resolve().parents[2] / "shared"
TARGET = "openvino"
ROUNDING_IMAGES = 8


def main() -> None:
    shared = Path(sys.argv[1]) if len(sys.argv) > 1 else SHARED
    images = shared / "data" / "coco128" / "images" / "train2017"
    dataset = open_dataset(shared / "data" / "coco128", "val")
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "model.onnx"
        spec = convert(shared / "weights" / "yolox_nano.onnx", path, head="yolox").spec
        model = load_model(path)
        counts = calibrate(path, images, path.with_suffix(".calib"))
        inputs = network_inputs(images, 16, spec)

        def accuracy(graph: Any) -> float:
            save_model(graph, path.with_name("lowered.onnx"))
            engine = open_engine(path.with_name("lowered.onnx"), TARGET, spec)
            with Detector.from_engine(engine, spec, **EVALUATION) as detector:
                return float(evaluate(detector, dataset).map or 0.0)

        tables = {method: counts.quantization_table(model, TARGET, method) for method in METHODS}
        worst = _worst(model, tables["mse"], inputs, Path(scratch))
        _, tables["chosen"] = choose_ranges(model, counts, TARGET, inputs[:8])
        for name in ("mse", "chosen"):
            tables[f"{name}, biases"] = correct_biases(model, tables[name], TARGET, inputs)
        tables["mse, learned rounding"] = rounded = learn_rounding(
            model, tables["mse"], TARGET, inputs[:ROUNDING_IMAGES]
        )
        tables["mse, learned rounding, biases"] = correct_biases(model, rounded, TARGET, inputs)
        groups = {group.name: frozenset(group.layers) for group in layer_groups(model)}
        everything = frozenset[str]().union(*groups.values())
        float_map = accuracy(model)
        rows: list[dict[str, Any]] = [
            {"table": "float", "float_group": "all", "mAP50_95": round(float_map, 4),
             "points_lost": 0.0, "loss": 0.0, "sqnr": None}
        ]  # fmt: skip
        for name, table in tables.items():
            plans = {"none": everything, worst: everything - groups[worst]}
            shifts = measure_shift(model, table, TARGET, inputs[:8], list(plans.values()))
            for (kept, layers), shift in zip(plans.items(), shifts, strict=True):
                found = accuracy(lowering(TARGET)(model, table, layers))
                rows.append(
                    {
                        "table": name,
                        "float_group": kept,
                        "mAP50_95": round(found, 4),
                        "points_lost": round(100 * (float_map - found), 2),
                        "loss": round(shift.loss, 4),
                        "sqnr": round(shift.sqnr, 2),
                    }
                )
        report("refinement", rows, {**conditions(), "target": TARGET, **EVALUATION})


def _worst(model: Any, table: Any, inputs: list[Any], scratch: Path) -> str:
    """Return the group that costs most alone."""
    found = measure_sensitivity(model, table, TARGET, inputs, scratch / "s.json", limit=4)
    losses = {name: shift.loss for name, shift in found.alone.items()}
    return max(losses, key=losses.__getitem__)


if __name__ == "__main__":
    main()
