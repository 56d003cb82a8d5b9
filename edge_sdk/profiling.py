"""The verb `profile`: measure on this machine how long each layer group takes in each precision."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_sdk.engine_trial import EngineTrial
from edge_sdk.files import scratch_folder
from edge_sdk.gpu_state import gpu_state
from edge_sdk.head_spec import HeadSpec
from edge_sdk.outputs import check_output
from edge_sdk.progress import Progress, silent

if TYPE_CHECKING:
    import onnx

    from edge_sdk.calibration.latency import LatencyTable
    from edge_sdk.precision_plan import PlanGroup
    from edge_sdk.quantization_table import QuantizationTable

REPETITIONS = 20
"""Profiled runs of each engine."""


def profile(
    model: Path | str,
    calibration: Path | str,
    target: str,
    output: Path | str,
    *,
    method: str = "mse",
    threads: int | None = None,
    progress: Progress = silent,
) -> LatencyTable:
    """Write the latency table of a model on this machine.

    Builds and profiles the all-float and the all-INT8 engine and a few in between (some seconds
    each), and times the first two without the profiler. Take the table to the machine that plans.

    Parameters
    ----------
    model : a float ONNX file of `convert`.
    calibration : of this model, a file of `calibrate`.
    target : "openvino", "onnxruntime", or "tensorrt" where there is a GPU.
    output : the table to write, JSON.
    method : how ranges are found; it hardly matters for latency.
    threads : that one inference may use; None leaves the choice to the library.
    progress : told of each engine.

    Raises
    ------
    EdgeError
        If a file cannot be used, the calibration is of another model, or the target cannot be
        profiled here.
    """
    from edge_sdk.calibration import Calibration
    from edge_sdk.calibration.profiles import check
    from edge_sdk.converters.layer_groups import layer_groups
    from edge_sdk.converters.lowering import lowering
    from edge_sdk.converters.model_file import head_spec_of, load_model

    lowering(target)
    check(target)
    check_output(output, model, calibration)
    graph = load_model(model)
    spec = head_spec_of(graph)
    table = Calibration.load(calibration).quantization_table(graph, target, method)
    measured = measure(graph, spec, layer_groups(graph), table, target, threads, progress)
    measured.save(output)
    return measured


def measure(
    graph: onnx.ModelProto,
    spec: HeadSpec,
    groups: Sequence[PlanGroup],
    table: QuantizationTable,
    target: str,
    threads: int | None = None,
    progress: Progress = silent,
) -> LatencyTable:
    """Return the latency table of a model in memory; see `profile`."""
    from edge_sdk.calibration.group_graph import GroupGraph
    from edge_sdk.calibration.latency import latency_table, mixed_plans
    from edge_sdk.calibration.profiles import Kernel, check
    from edge_sdk.calibration.profiles import profile as kernels_of
    from edge_sdk.converters.lowering import lowering
    from edge_sdk.converters.lowering.instruction_set import needs_seven_bit_weights
    from edge_sdk.converters.model_file import model_key
    from edge_sdk.converters.target import Target

    check(target)
    lower, narrow = lowering(target), needs_seven_bit_weights(target)
    everything = frozenset(group.name for group in groups)
    plans = [frozenset(), everything, *mixed_plans(groups)]
    profiles: dict[frozenset[str], list[Kernel]] = {}
    with scratch_folder() as scratch:
        trial = EngineTrial(target, scratch, threads)
        for done, plan in enumerate(plans):
            progress(done, len(plans), "profiling")
            name = {frozenset(): "float", everything: "int8"}.get(plan, f"mixed{done}")
            layers = frozenset(n for group in groups if group.name in plan for n in group.layers)
            plain = not layers and Target.parse(target).on_cpu
            lowered = graph if plain else lower(graph, table, layers, seven_bit_weights=narrow)
            trial.add(name, lowered)
            profiles[plan] = kernels_of(
                trial.engines[name], target, spec, threads=threads, repetitions=REPETITIONS
            )
            if name.startswith("mixed"):
                trial.drop(name)
        before = gpu_state() if target == "tensorrt" else {}
        trial.time(spec)
        progress(len(plans), len(plans), "profiling")
        return latency_table(
            model_key(graph),
            target,
            GroupGraph(graph, groups),
            groups,
            profiles,
            trial.times["float"].median,
            trial.times["int8"].median,
            {**_conditions(trial), **_gpu(before)},
        )


def _gpu(before: dict[str, Any]) -> dict[str, Any]:
    """Return the GPU's clocks and temperature around the measurement, if there was one."""
    return {"gpu_before": before, "gpu_after": gpu_state()} if before else {}


def _conditions(trial: EngineTrial) -> dict[str, Any]:
    measured = trial.measured()
    return {
        **measured["conditions"],
        "profiled_runs": REPETITIONS,
        "timed_runs": trial.times["float"].n,
        "inference_ms": measured["inference_ms"],
    }
