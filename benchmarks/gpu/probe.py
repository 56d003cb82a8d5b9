"""What is here, and which engine library runs a tiny network on this GPU.

Each library is tried in a process of its own, since NVIDIA's crash where something is missing.
Whether TensorRT-RTX 1.7 runs on sm90 (H100, H200), which it cannot be told to build for, is not
known: it is built for whatever GPU is here, and what happens is written down.
"""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge_sdk.cuda_driver import first_gpu
from edge_sdk.evaluation.conditions import version_of

LIBRARIES = ("tensorrt", "tensorrt-rtx")
_OK = "runs"
_SECONDS = 130
"""That one library may take; all of them fit into one part."""


def run() -> dict[str, Any]:
    """Return what was found; "target" is what the later parts build for, or null."""
    gpu = first_gpu()
    rows = [
        {"what": "driver, CUDA", "found": _try("driver")},
        *({"what": name, "found": _try(name)} for name in LIBRARIES),
        {"what": "NVRTC", "found": _try("nvrtc")},
        {"what": "trtexec", "found": shutil.which("trtexec")},
    ]
    found = {row["what"]: row["found"] for row in rows}
    targets = ("tensorrt", f"tensorrt-rtx:{gpu.capability}")
    runs = [
        target
        for target, library in zip(targets, LIBRARIES, strict=True)
        if str(found[library]).endswith(_OK)
    ]
    remarks = [f"{gpu.name} ({gpu.capability}): engines run with {', '.join(runs) or 'nothing'}."]
    return {"rows": rows, "target": runs[0] if runs else None, "remarks": remarks}


def _try(what: str) -> str:
    """Return what a process says that tries something, or how it ended."""
    command = [sys.executable, __file__, what]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"is not through after {_SECONDS} s"
    if done.returncode == 0:
        return done.stdout.strip().splitlines()[-1]
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    how = f"signal {-done.returncode}" if done.returncode < 0 else f"status {done.returncode}"
    return f"ends with {how}: {lines[-1][:300] if lines else 'no word'}"


def _driver() -> str:
    from edge_sdk.runtime.cuda.context import Context
    from edge_sdk.runtime.cuda.driver import driver_version

    context = Context.open()
    free, total = context.free_memory()
    return (
        f"CUDA {'.'.join(map(str, driver_version()))}, {free >> 20} of {total >> 20} MiB free, "
        f"cuda-bindings {version_of('cuda-bindings')}, integrated {context.integrated}"
    )


def _nvrtc() -> str:
    from edge_sdk.runtime.cuda.compiler import compiler_version

    return ".".join(map(str, compiler_version()))


def _library(name: str) -> str:
    """Build y = 2 x for this GPU, run it, and look at the answer."""
    from edge_sdk.converters.engines.tensorrt_builder import (
        BuildOptions,
        build,
        capabilities,
        parse,
    )
    from edge_sdk.runtime.backends.tensorrt_execution import TensorrtWorker
    from edge_sdk.runtime.backends.tensorrt_plan import Plan
    from edge_sdk.runtime.cuda.context import Context

    builder = f"edge_sdk.converters.engines.{name.replace('-', '_')}"
    trt = importlib.import_module(builder).library()
    context = Context.open()
    known = context.capability in capabilities(trt)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tiny.engine"
        parsed = parse(trt, _doubling().SerializeToString())
        path.write_bytes(build(parsed, BuildOptions(), context.capability if known else ""))
        with context:
            worker = TensorrtWorker(Plan.open(path, name, context), 1, ["y"])
    worker.input[...] = np.arange(worker.input.size).reshape(worker.input.shape)
    (seen,) = worker()
    right = np.array_equal(seen, 2.0 * worker.input)
    how = "ahead of time" if known and name != "tensorrt" else "for the GPU that is here"
    return f"{trt.__version__}, built {how}, {_OK if right else 'gives wrong numbers'}"


def _doubling() -> onnx.ModelProto:
    shape = [1, 3, 8, 8]
    nodes = [helper.make_node("Mul", ["x", "two"], ["y"], "double")]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT16, shape) for n in "xy"]
    two = numpy_helper.from_array(np.array(2, np.float16), "two")
    graph = helper.make_graph(nodes, "tiny", ends[:1], ends[1:], [two])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)


if __name__ == "__main__":
    known = {"driver": _driver, "nvrtc": _nvrtc}
    what = sys.argv[1]
    print(known[what]() if what in known else _library(what), flush=True)
    os._exit(0)  # the answer counts, not what a library does at its end
