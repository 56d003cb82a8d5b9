"""YOLOX-nano on COCO: float, INT8 of ours in both engines, and INT8 of ONNX Runtime's own tool.

Calibrated on 128 images of train2017, measured on 128 images of val2017, with the defaults of
an evaluation. The difference to float comes with its 95 % bounds over images (paired bootstrap).

    python benchmarks/yolox_accuracy.py [FOLDER with weights/ and data/]
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from measure import conditions, report

from edge_sdk.converters.convert import convert
from edge_sdk.datasets import Dataset, open_dataset
from edge_sdk.deployment import deploy
from edge_sdk.evaluation import (
    EVALUATION,
    ClassMatches,
    match,
    mean_average_precision,
    paired_difference,
    predict,
)
from edge_sdk.head_spec import HeadSpec
from edge_sdk.images import list_images, read_image
from edge_sdk.runtime import Detector, open_engine
from edge_sdk.runtime.letterbox import Letterbox

SHARED = Path(__file__).resolve().parents[2] / "shared"
TARGETS = ("openvino", "onnxruntime")
GOAL = 0.335
THEIRS = 0.339
"""Float mAP50-95 of the same file by others' code at score 0.01."""


def main() -> None:
    shared = Path(sys.argv[1]) if len(sys.argv) > 1 else SHARED
    weights = shared / "weights" / "yolox_nano.onnx"
    images = shared / "data" / "coco128" / "images" / "train2017"
    dataset = open_dataset(shared / "data" / "coco128", "val")
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        model = Path(scratch) / "model.onnx"
        spec = convert(weights, model, head="yolox").spec
        with Detector(model, target="onnxruntime", **EVALUATION) as detector:
            reference = _measure(detector, dataset)
        rows.append(_row("float", "onnxruntime", reference, reference))
        with Detector(model, target="openvino", **EVALUATION) as detector:
            rows.append(_row("float", "openvino", _measure(detector, dataset), reference))
        for target in TARGETS:
            bundle = Path(scratch) / f"{target}.edge"
            deploy(weights, images, target, bundle, head="yolox", keep_int8=True)
            with Detector(bundle, target=target, **EVALUATION) as detector:
                rows.append(_row("INT8, ours", target, _measure(detector, dataset), reference))
        theirs = Path(scratch) / "theirs.onnx"
        _quantize_theirs(model, spec, images, theirs)
        engine = open_engine(theirs, "onnxruntime", spec)
        with Detector.from_engine(engine, spec, **EVALUATION) as detector:
            rows.append(
                _row(
                    "INT8, its own tool (min/max)", "onnxruntime",
                    _measure(detector, dataset), reference,
                )
            )  # fmt: skip
    float_map = rows[0]["mAP50_95"]
    goals = {"goal": f"float >= {GOAL}", "others_float": THEIRS, "reached": float_map >= GOAL}
    report("yolox_accuracy", rows, {**conditions(), **EVALUATION, **goals})
    sys.exit(0 if float_map >= GOAL else 1)


Measured = tuple[float, float, tuple[ClassMatches, ...]]


def _measure(detector: Detector, dataset: Dataset) -> Measured:
    found = predict(detector, dataset)
    accuracy = mean_average_precision(found, dataset.images, dataset.names)
    return accuracy.map, accuracy.map50, match(found, dataset.images, dataset.names)


def _row(what: str, engine: str, measured: Measured, reference: Measured) -> dict[str, Any]:
    difference = paired_difference(measured[2], reference[2])
    return {
        "what": what,
        "engine": engine,
        "mAP50_95": round(measured[0], 4),
        "mAP50": round(measured[1], 4),
        "points_to_float": round(100 * difference.value, 2),
        "lower": round(100 * difference.lower, 2),
        "upper": round(100 * difference.upper, 2),
    }


def _quantize_theirs(model: Path, spec: HeadSpec, images: Path, output: Path) -> None:
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        quantize_static,
    )

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.batches = _batches(spec, images)

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.batches, None)

    quantize_static(
        model, output, Reader(), quant_format=QuantFormat.QDQ, op_types_to_quantize=["Conv"],
        per_channel=True, calibrate_method=CalibrationMethod.MinMax,
    )  # fmt: skip


def _batches(spec: HeadSpec, images: Path) -> Iterator[dict[str, np.ndarray]]:
    letterbox = Letterbox(spec.preprocessing, spec.input_size)
    for path in list_images(images):
        batch = np.empty((1, 3, *spec.input_size), np.float32)
        letterbox(read_image(path), batch[0])
        yield {spec.input_name: batch}


if __name__ == "__main__":
    main()
