"""TensorRT: medians of the times of its layers, with the graph's nodes that each one runs.

TensorRT fuses nodes and makes up a name of theirs: "conv + relu", "PWN(sigmoid, mul)". Engines
that were built with detailed profiling say in their inspector which nodes a layer runs; of the
others the name is taken apart. A layer that only reorders values for another ("Reformatting
CopyNode for Input Tensor 0 to conv + relu") counts for that one.

Experimental: this has run on no GPU yet.
"""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import Any

import numpy as np

from edge_sdk.calibration.profiles import Kernel
from edge_sdk.converters.engine_linter import nodes_of
from edge_sdk.errors import EdgeError
from edge_sdk.head_spec import HeadSpec
from edge_sdk.runtime.backends.tensorrt_execution import Execution
from edge_sdk.runtime.backends.tensorrt_plan import Plan
from edge_sdk.runtime.cuda.context import Context
from edge_sdk.runtime.cuda.memory import PairedBuffer
from edge_sdk.runtime.cuda.resources import Resources
from edge_sdk.runtime.cuda.stream import Stream

_SETTLE = 0.5
"""Seconds of runs that are not counted: a GPU that was idle raises its clocks."""
_REFORMAT = re.compile(r"^Reformatting CopyNode for (Input|Output) Tensor \d+ (to|of) ")
_WORD = re.compile(r"[\w./:-]+")


def profile(engine: Path, spec: HeadSpec, threads: int | None, repetitions: int) -> list[Kernel]:
    """Return the layers of an engine; see `edge_sdk.calibration.profiles.profile`."""
    context = Context.open()
    with context:
        plan = Plan.open(engine, "tensorrt", context)
        return kernels(plan.layers(), _times(plan, spec, repetitions))


def kernels(layers: str, times: Mapping[str, Sequence[float]]) -> list[Kernel]:
    """Return the layers that were timed, with their labels.

    Parameters
    ----------
    layers : what the engine's inspector says, as JSON.
    times : layer -> milliseconds of each run, in the order of execution.
    """
    nodes = _nodes(layers)
    return [
        Kernel(labels(name, nodes), statistics.median(values)) for name, values in times.items()
    ]


def labels(name: str, nodes: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return the names of nodes that a layer may do the work of.

    `nodes` holds what the inspector knows, by layer.
    """
    served = _REFORMAT.sub("", name)
    known = nodes.get(served) or nodes.get(name)
    return known or tuple(_WORD.findall(served.replace("...", " ")))


def _nodes(layers: str) -> dict[str, tuple[str, ...]]:
    """Return the nodes of each layer; none where the engine was built without details."""
    try:
        listed = json.loads(layers)["Layers"]
    except (ValueError, KeyError, TypeError) as error:
        raise EdgeError(f"TensorRT's inspector gave no list of layers ({error!r}).") from error
    return {
        str(layer.get("Name")): tuple(nodes_of(layer))
        for layer in listed
        if isinstance(layer, dict)
    }


def _times(plan: Plan, spec: HeadSpec, repetitions: int) -> dict[str, list[float]]:
    """Run an engine and return the milliseconds of its layers, run by run."""
    resources = Resources(plan.context)
    try:
        stream = resources.keep(Stream())
        execution = Execution(plan, 1, resources)
        for tensor in (*plan.inputs.values(), *plan.outputs.values()):
            shape = execution.shapes[tensor.name]
            buffer = resources.keep(PairedBuffer(shape, tensor.dtype, plan.context.integrated))
            execution.bind(tensor.name, buffer.address)
            if tensor.name == spec.input_name:
                rng = np.random.default_rng(0)
                buffer.array[...] = rng.integers(0, 256, shape)
                buffer.upload(stream)
        recorder = _recorder(plan.trt)
        execution.set_profiler(recorder)

        def run() -> None:
            execution.enqueue(stream)
            stream.synchronize()

        settled = perf_counter() + _SETTLE
        run()
        while perf_counter() < settled:
            run()
        recorder.times.clear()
        for _ in range(repetitions):
            run()
        times: dict[str, list[float]] = recorder.times
        return times
    finally:
        resources.close()


def _recorder(trt: ModuleType) -> Any:
    class Recorder(trt.IProfiler):  # type: ignore[misc, name-defined]
        """Keeps what the library reports."""

        def __init__(self) -> None:
            trt.IProfiler.__init__(self)
            self.times: dict[str, list[float]] = {}

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            self.times.setdefault(layer_name, []).append(ms)

    return Recorder()
