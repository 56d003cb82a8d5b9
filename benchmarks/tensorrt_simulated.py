"""What TensorRT's form of a plan costs in accuracy beside the CPU's engine, simulated: no GPU ran.

Each bundle was built for the CPU. Its float model, scales and plan are lowered for TensorRT, and
the lowered graph is executed as it stands by ONNX Runtime, without optimizations: integers are
exact, float16 values are rounded wherever the graph has them, sums are float32. Beside it runs
the bundle's own engine. All see the same images; differences are paired over them, with two-sided
95 % bounds (bootstrap). The float network stands at the head, in float32 and in float16.

    python benchmarks/tensorrt_simulated.py NAME --data DIR|test://street?frames=500 BUNDLE.edge ...

"channels" counts tensors that the CPU's engine reads with a range for each channel, which
TensorRT does not have. `--both` adds the form that quantizes both operands of a bottleneck's Add.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from measure import conditions, report

from edge_sdk import Detections
from edge_sdk.bundle import Bundle
from edge_sdk.cli.console import progress_bar
from edge_sdk.converters.lowering.tensorrt import lower
from edge_sdk.converters.model_file import head_spec_of, load_model
from edge_sdk.datasets import Dataset, open_dataset
from edge_sdk.evaluation import EVALUATION, match, mean_average_precision, paired_difference
from edge_sdk.evaluation.class_match import match_classes
from edge_sdk.head_spec import HeadSpec
from edge_sdk.precision_plan import PrecisionPlan
from edge_sdk.quantization_table import QuantizationTable
from edge_sdk.runtime import Detector, open_engine
from edge_sdk.runtime.letterbox import Letterbox
from edge_sdk.runtime.postprocess import Postprocessor

GOAL = 0.1
"""Points that TensorRT's form may lose against the CPU's."""
FLOAT = "float"

Run = Callable[[np.ndarray[Any, Any]], Detections]


def main() -> None:
    arguments = _arguments()
    dataset = open_dataset(arguments.data, arguments.split)
    if arguments.images:
        dataset = dataset.first(arguments.images)
    with ExitStack() as stack:
        bundles = [stack.enter_context(Bundle.open(path)) for path in arguments.bundles]
        runs, rows = forms(bundles, stack, arguments.both)
        found = detect(runs, bundles[0].head_spec, dataset)
    matches = {name: match(seen, dataset.images, dataset.names) for name, seen in found.items()}
    for row in rows:
        name = row["form"] if row["plan"] == FLOAT else f"{row['plan']}: {row['form']}"
        accuracy = mean_average_precision(found[name], dataset.images, dataset.names)
        row["mAP50_95"] = round(100 * (accuracy.map or 0.0), 2)
        engine = FLOAT if row["plan"] == FLOAT else f"{row['plan']}: {bundles[0].targets[0]}"
        for column, reference in (("lost", FLOAT), ("lost_against_cpu", engine)):
            loss = paired_difference(matches[reference], matches[name])
            row[column] = round(100 * loss.value, 3)
            row[f"{column}_bounds"] = [round(100 * loss.lower, 3), round(100 * loss.upper, 3)]
    report(
        f"tensorrt_simulated_{arguments.name}",
        rows,
        {
            **conditions(), "data": f"{Path(dataset.source).name} {dataset.split}",
            "images": len(dataset), **EVALUATION,
            "simulated": "ONNX Runtime without optimizations; no TensorRT, no GPU",
            "goal": f"TensorRT's form loses at most {GOAL} points against the CPU's",
        },
    )  # fmt: skip


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", help="of the result")
    parser.add_argument("bundles", type=Path, nargs="+", help="of one model, for the CPU")
    parser.add_argument("--data", required=True)
    parser.add_argument("--split", default="val")
    parser.add_argument("--images", type=int, help="only the first so many")
    parser.add_argument("--both", action="store_true")
    return parser.parse_args()


def forms(
    bundles: list[Bundle], stack: ExitStack, both: bool
) -> tuple[dict[str, Run], list[dict[str, Any]]]:
    """Return what is to be run by name, and a row for each."""
    model = load_model(bundles[0].file("model.onnx"))
    spec = head_spec_of(model)
    table = QuantizationTable.load(bundles[0].file("quant.json"))
    half = lower(model, table, frozenset(), candidates=None)
    runs: dict[str, Run] = {FLOAT: Interpreter(model, spec), "float16": Interpreter(half, spec)}
    rows: list[dict[str, Any]] = [
        {"plan": FLOAT, "form": name, "int8": 0, "channels": 0} for name in runs
    ]
    for bundle in bundles:
        table = QuantizationTable.load(bundle.file("quant.json"))
        plan = PrecisionPlan.load(bundle.file("plan.yaml"))
        (target,) = bundle.targets
        name = bundle.path.parent.name if bundle.path.stem == "bundle" else bundle.path.stem
        engine = open_engine(bundle.engine_file(target), target, spec, 1)
        lowered = {"tensorrt": lower(model, table, plan.int8_layers, candidates=None)}
        if both:
            lowered["tensorrt, both"] = lower(
                model, table, plan.int8_layers, skip="both", candidates=None
            )
        made: dict[str, Run] = {
            target: stack.enter_context(Detector.from_engine(engine, spec, **EVALUATION)),
            **{form: Interpreter(graph, spec) for form, graph in lowered.items()},
        }
        runs |= {f"{name}: {form}": run for form, run in made.items()}
        channels = bundle.manifest["engines"][target].get("channel_ranges", 0)
        what = {"int8": len(plan.int8_layers), "channels": channels}
        rows += [{"plan": name, "form": form, **what} for form in made]
    return runs, rows


def detect(runs: dict[str, Run], spec: HeadSpec, dataset: Dataset) -> dict[str, list[Detections]]:
    """Return what each run sees on all images, each read once."""
    classes = match_classes(spec.class_names, dataset.names)
    found: dict[str, list[Detections]] = {name: [] for name in runs}
    with progress_bar() as progress:
        for number, sample in enumerate(dataset.images, 1):
            frame = sample.read()
            for name, run in runs.items():
                found[name].append(classes.renumber(run(frame)))
            progress(number, len(dataset), "detecting")
    return found


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
