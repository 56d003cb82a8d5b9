"""OpenVINO: times from its performance counters, fused nodes from the graph that it executes."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import openvino

from edge_sdk.calibration.profiles import Kernel
from edge_sdk.head_spec import HeadSpec
from edge_sdk.runtime.backends.openvino import compile_model

_WARMUP = 3


def profile(engine: Path, spec: HeadSpec, threads: int | None, repetitions: int) -> list[Kernel]:
    """Return the kernels of an engine; see `edge_sdk.calibration.profiles.profile`."""
    options: dict[str, Any] = {
        "PERF_COUNT": True,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    if threads is not None:
        options["INFERENCE_NUM_THREADS"] = threads
    core = openvino.Core()
    model = core.read_model(engine)
    model.reshape({spec.input_name: [1, 3, *spec.input_size]})
    compiled = compile_model(core, model, options)
    request = compiled.create_infer_request()
    image = np.random.default_rng(0).random((1, 3, *spec.input_size), np.float32)
    request.set_input_tensor(openvino.Tensor(image * 255 * spec.preprocessing.scale))
    times: dict[str, list[float]] = defaultdict(list)
    for run in range(-_WARMUP, repetitions):
        request.infer()
        for entry in request.profiling_info if run >= 0 else ():
            if entry.status == openvino.ProfilingInfo.Status.EXECUTED:
                times[entry.node_name].append(1000 * entry.real_time.total_seconds())
    fused = {op.get_friendly_name(): _fused(op) for op in compiled.get_runtime_model().get_ops()}
    return [Kernel((*fused.get(name, ()), name), min(values)) for name, values in times.items()]


def _fused(op: Any) -> tuple[str, ...]:
    info = op.get_rt_info()
    if "originalLayersNames" not in info:
        return ()
    return tuple(filter(None, info["originalLayersNames"].astype(str).split(",")))
