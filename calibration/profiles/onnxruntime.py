"""ONNX Runtime: times from the trace that it writes; kernels are named after a node they run."""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import onnxruntime

from edge_sdk.calibration.profiles import Kernel
from edge_sdk.head_spec import HeadSpec

_WARMUP = 3
_SUFFIX = "_kernel_time"


def profile(engine: Path, spec: HeadSpec, threads: int | None, repetitions: int) -> list[Kernel]:
    """Return the kernels of an engine; see `edge_sdk.calibration.profiles.profile`."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if threads is not None:
        options.intra_op_num_threads = threads
    options.enable_profiling = True
    image = np.random.default_rng(0).random((1, 3, *spec.input_size), np.float32)
    image *= 255 * spec.preprocessing.scale
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "trace")
        session = onnxruntime.InferenceSession(
            str(engine), options, providers=["CPUExecutionProvider"]
        )
        for _ in range(_WARMUP + repetitions):
            session.run(None, {spec.input_name: image})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    times: dict[str, list[float]] = defaultdict(list)
    for event in sorted(events, key=lambda event: event["ts"]):
        if event.get("cat") == "Node" and event["name"].endswith(_SUFFIX):
            times[event["name"].removesuffix(_SUFFIX)].append(event["dur"] / 1000)
    return [Kernel((name,), min(values[-repetitions:])) for name, values in times.items()]
