"""Builds the trained test-camera network for this GPU, all INT8, and looks at the engine."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from time import perf_counter
from typing import Any

from parts import read_result

from edge_sdk.bundle import Bundle
from edge_sdk.calibration import calibrate
from edge_sdk.converters.convert import convert
from edge_sdk.converters.engine_linter import lint_engine
from edge_sdk.converters.engines.tensorrt_files import GRAPH, LAYERS, planned_layers
from edge_sdk.converters.model_file import load_model
from edge_sdk.deployment import build, plan
from edge_sdk.errors import EdgeError

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "weights" / "n_street.onnx"
WORK = ROOT / "build" / "gpu"
CAMERA = "test://street?split=calibration"
IMAGES = 64


def target() -> str:
    """Return what the probe found to run here.

    Raises
    ------
    EdgeError
        If nothing does.
    """
    found = read_result("probe")["target"]
    if found is None:
        raise EdgeError("no engine library runs on this GPU: see gpu_probe.json")
    return str(found)


def float_model() -> Path:
    """Return where the network lies as it is calibrated: one convolution a block."""
    return WORK / "model.onnx"


def bundle() -> Path:
    """Return where the bundle for the target lies."""
    return WORK / f"{target().replace(':', '-')}.edge"


def run() -> dict[str, Any]:
    """Build the bundle."""
    WORK.mkdir(parents=True, exist_ok=True)
    calibration = WORK / "model.calib"
    convert(MODEL, float_model())
    calibrate(float_model(), CAMERA, calibration, limit=IMAGES)
    plan(float_model(), calibration, target(), WORK / "plan.yaml")
    start = perf_counter()
    build(float_model(), calibration, WORK / "plan.yaml", target(), bundle())
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
