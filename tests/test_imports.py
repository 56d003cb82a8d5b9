"""Imports point one way: cli -> training, calibration -> converters -> shared types <- runtime."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "edge_sdk"

ROOMS = ("cli", "training", "calibration", "converters", "evaluation", "datasets", "runtime")
DEPLOYMENT = (
    "deployment", "engine_trial", "bundle_report", "bundle_selftest", "profiling", "plan_search",
    "plan_trials",
    "plan_ranges", "plan_refinement", "report_images", "search_report",
    "labelled_frames",
)  # fmt: skip
"""Modules at the top that lead through the rooms: the verbs profile, plan, build and deploy."""

MAY_USE = {
    "cli": {*ROOMS, "deployment"},
    "deployment": {"calibration", "converters", "evaluation", "datasets", "runtime"},
    "training": {"converters", "evaluation", "datasets", "runtime"},
    "evaluation": {"converters", "calibration", "datasets", "runtime"},
    "datasets": {"runtime"},
    "calibration": {"converters", "runtime"},
    "converters": set(),
    "runtime": set(),
    "shared types": set(),
}
"""Room -> the rooms it may import; everybody may import the shared types."""

FRONT_DOOR = PACKAGE / "__init__.py"
"""The public API names functions of every room, and loads them on first use."""


def sources() -> Iterator[Path]:
    for path in sorted(PACKAGE.glob("*.py")):
        if path != FRONT_DOOR:
            yield path
    for room in ROOMS:
        yield from sorted((PACKAGE / room).resolve().rglob("*.py"))


def room_of(parts: tuple[str, ...]) -> str:
    """Return the room that a dotted name below edge_sdk, or a path below the root, lies in."""
    if parts and parts[0] in DEPLOYMENT:
        return "deployment"
    return parts[0] if parts and parts[0] in ROOMS else "shared types"


def imports(path: Path) -> Iterator[str]:
    """Yield the modules that a file names, also inside functions and for type checkers."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_arrow_of_the_design() -> None:
    wrong = []
    for path in sources():
        where = path.relative_to(PACKAGE if path.is_relative_to(PACKAGE) else ROOT)
        room = room_of(where.with_suffix("").parts)
        for module in imports(path):
            top, *rest = module.split(".")
            if top in ("calibration", "converters", "runtime"):
                wrong.append(f"{where} imports {module}: write edge_sdk.{module}")
            target = room_of(tuple(rest))
            allowed = {*MAY_USE[room], room, "shared types"}
            if top == "edge_sdk" and target not in allowed:
                wrong.append(f"{where} ({room}) imports {module}")
    assert not wrong, "\n".join(wrong)


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT
    ).stdout


def test_the_runtime_never_loads_torch_or_onnx(tiny_bundle: Path) -> None:
    """Neither when its modules are imported nor when a detector runs."""
    code = f"""
import pkgutil, importlib, sys
import numpy as np
import edge_sdk.runtime
for module in pkgutil.walk_packages(edge_sdk.runtime.__path__, "edge_sdk.runtime."):
    importlib.import_module(module.name)
for target in ("openvino", "onnxruntime"):
    with edge_sdk.runtime.Detector({str(tiny_bundle)!r}, target=target, threads=1) as detector:
        detector(np.zeros((90, 120, 3), np.uint8))
edge_sdk.runtime.stream({str(tiny_bundle)!r}, "test://street?size=160x96&frames=2", threads=1)
ours = [name for name in sys.modules if name.startswith("edge_sdk.")]
bad = ("edge_sdk.converters", "edge_sdk.calibration", "edge_sdk.training", "edge_sdk.evaluation")
print([name for name in ours if name.startswith(bad)],
      [name for name in ("torch", "onnx", "onnx_graphsurgeon", "scipy") if name in sys.modules])
"""
    assert run(code).strip().splitlines()[-1] == "[] []"


@pytest.mark.parametrize("module", ["edge_sdk", "edge_sdk.runtime"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    heavy = (
        "cv2", "torch", "onnx", "onnxruntime", "openvino", "rich", "typer", "matplotlib", "cuda",
        "tensorrt", "tensorrt_rtx", "edge_sdk.runtime.cuda",
    )  # fmt: skip
    code = f"import sys, {module}; print([n for n in {heavy!r} if n in sys.modules])"
    assert run(code).strip() == "[]"


def test_importing_the_front_door_is_quick() -> None:
    """Beyond numpy, which every user has; the best of a few, for other work shares the cores."""
    code = """
import time, numpy
start = time.perf_counter(); import edge_sdk; print(time.perf_counter() - start)
"""
    deadline = time.monotonic() + 30
    while (best := float(run(code))) > 0.1 and time.monotonic() < deadline:
        pass
    assert best <= 0.1
