"""What the lowering for TensorRT costs in accuracy, simulated: no GPU ran.

The lowered graphs are executed as they stand by ONNX Runtime, without optimizations: integers
are exact, float16 values are rounded wherever the graph has them, sums are float32. Beside them
run the float network and its INT8 engine for the CPU. All see the same frames of the test camera.
Two rows take the lowering apart: everything in float16, and the integers alone in float32.

    python benchmarks/tensorrt_simulated.py [--frames 500] [--model weights/n_street.onnx]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from measure import conditions, report

from edge_sdk import Detections
from edge_sdk.calibration import Calibration, calibrate
from edge_sdk.converters.convert import convert
from edge_sdk.converters.layer_groups import layer_groups
from edge_sdk.converters.lowering import lowering
from edge_sdk.converters.lowering.qdq import insert
from edge_sdk.converters.lowering.tensorrt import TensorrtForm, lower
from edge_sdk.converters.model_file import head_spec_of, load_model
from edge_sdk.datasets import open_dataset
from edge_sdk.evaluation import EVALUATION, match, mean_average_precision, paired_difference
from edge_sdk.head_spec import HeadSpec
from edge_sdk.runtime.letterbox import Letterbox
from edge_sdk.runtime.postprocess import Postprocessor

MODEL = Path(__file__).resolve().parents[1] / "weights" / "n_street.onnx"
CALIBRATION = "test://street"
CALIBRATION_FRAMES = 256
CPU = "int8, ONNX Runtime's form"
GOAL = 0.1
"""Points that TensorRT's form may lose against the CPU's."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=500)
    parser.add_argument("--model", type=Path, default=MODEL)
    arguments = parser.parse_args()
    dataset = open_dataset(f"test://street?frames={arguments.frames}", "val")
    found: dict[str, list[Detections]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        graphs, spec = forms(arguments.model, Path(scratch))
    interpreters = {name: Interpreter(graph, spec) for name, graph in graphs.items()}
    for sample in dataset.images:
        frame = sample.read()
        for name, run in interpreters.items():
            found.setdefault(name, []).append(run(frame))
    matches = {name: match(seen, dataset.images, dataset.names) for name, seen in found.items()}
    rows: list[dict[str, Any]] = []
    for name, seen in found.items():
        row = {"form": name, "mAP50_95": mean_average_precision(
            seen, dataset.images, dataset.names).to_dict()["map"]}  # fmt: skip
        for column, reference in (("float", "float"), ("cpu", CPU)):
            loss = paired_difference(matches[reference], matches[name]).to_dict()
            row[f"points_lost_against_{column}"] = round(100 * loss["value"], 3)
            row[f"bounds_{column}"] = [round(100 * loss[k], 3) for k in ("lower", "upper")]
        rows.append(row)
    report(
        "tensorrt_simulated",
        rows,
        {
            **conditions(), "model": arguments.model.name, "frames": len(dataset),
            "data": dataset.source, "calibration": f"{CALIBRATION}, {CALIBRATION_FRAMES} frames",
            "simulated": "ONNX Runtime without optimizations; no TensorRT, no GPU",
            "goal": f"TensorRT's form loses at most {GOAL} points against the CPU's",
        },
    )  # fmt: skip


def forms(source: Path, folder: Path) -> tuple[dict[str, onnx.ModelProto], HeadSpec]:
    """Return every form of a network, all layers in INT8 where it has integers."""
    model_path, calibration = folder / "model.onnx", folder / "model.calib"
    convert(source, model_path)
    calibrate(model_path, CALIBRATION, calibration, limit=CALIBRATION_FRAMES)
    model = load_model(model_path)
    table = Calibration.load(calibration).quantization_table(model, "mse")
    layers = frozenset(layer for group in layer_groups(model) for layer in group.layers)
    integers = TensorrtForm(model, table).quantization(layers)
    graphs = {
        "float": model,
        CPU: lowering("onnxruntime")(model, table, layers),
        "int8, TensorRT, skip operand": lower(model, table, layers, candidates=None),
        "int8, TensorRT, both operands": lower(model, table, layers, skip="both", candidates=None),
        "all float16": lower(model, table, frozenset(), candidates=None),
        "the integers alone, float32": insert(model, integers),
    }
    return graphs, head_spec_of(model)


class Interpreter:
    """Executes a graph as it stands, on frames."""

    def __init__(self, graph: onnx.ModelProto, spec: HeadSpec) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        self.session = onnxruntime.InferenceSession(
            graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        dtype = np.uint8 if "uint8" in self.session.get_inputs()[0].type else np.float32
        self.spec = spec
        self.image = np.zeros((1, 3, *spec.input_size), dtype)
        self.letterbox = Letterbox(spec.preprocessing, spec.input_size)
        self.postprocess = Postprocessor(spec, **EVALUATION)

    def __call__(self, frame: np.ndarray[Any, Any]) -> Detections:
        """Return what is seen on a BGR frame."""
        placement = self.letterbox(frame, self.image[0])
        outputs = self.session.run(self.spec.output_names, {self.spec.input_name: self.image})
        maps = [np.asarray(output[0], np.float32) for output in outputs]
        return self.postprocess(maps, placement, frame.shape[:2])


if __name__ == "__main__":
    main()
