"""Compiles the engine of the bundle for this GPU, as on any device, and looks at it."""

from __future__ import annotations

from collections import Counter
from time import perf_counter
from typing import Any

from subject import bundle, prepare, target

from edge_sdk.bundle import Bundle
from edge_sdk.converters.engine_linter import lint_engine
from edge_sdk.converters.engines.tensorrt_compile import compile_graph
from edge_sdk.converters.engines.tensorrt_files import GRAPH, LAYERS, planned_layers
from edge_sdk.converters.model_file import load_model


def run() -> dict[str, Any]:
    """Build the engine."""
    prepare()
    start = perf_counter()
    compile_graph(bundle(), target())
    seconds = perf_counter() - start
    with Bundle.open(bundle()) as made:
        engine = made.engine_file(target())
        row = {
            "target": target(), "build_s": round(seconds, 1), "engine": engine.name,
            "MB": round(engine.stat().st_size / 1e6, 1),
        }  # fmt: skip
        remarks = (engine.parent / "lint.txt").read_text().splitlines()
        layers = engine.parent / LAYERS
        if layers.is_file():
            found = lint_engine(layers, planned_layers(load_model(engine.parent / GRAPH)))
            row["INT8 kernels"] = f"{found.carried_out} of {found.planned}"
            row |= Counter(finding.rule for finding in found.findings)
    return {"rows": [row], "remarks": remarks}
