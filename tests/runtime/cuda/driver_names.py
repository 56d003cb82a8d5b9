"""Which functions of cuda-bindings our code calls, and with how many arguments.

    python tests/runtime/cuda/driver_names.py

run with a version of cuda-bindings installed, writes `driver_api/VERSION.json`: what that version
has of them. It is imported for its names alone, which needs no GPU.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
SOURCES = sorted((HERE.parents[2] / "runtime" / "cuda").rglob("*.py"))
ENUMS = ("CUdevice_attribute", "CUpointer_attribute", "CUstreamCaptureMode", "CUfunction_attribute")


def calls() -> set[tuple[str, int]]:
    """Return (function, number of arguments) of every `call("cu...", ...)`."""
    found = set()
    for node in _nodes():
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "call" and node.args:
            name = node.args[0]
            if isinstance(name, ast.Constant):
                found.add((str(name.value), len(node.args) - 1))
    return found


def members() -> set[str]:
    """Return "ENUM.MEMBER" of every member of an enumeration that is named."""
    return {
        node.attr
        for node in _nodes()
        if isinstance(node, ast.Attribute) and node.attr.startswith("CU_")
    }


def _nodes() -> list[ast.AST]:
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES]
    return [node for tree in trees for node in ast.walk(tree)]


def main() -> None:
    """Write what the installed version has."""
    driver = importlib.import_module("cuda.bindings.driver")
    functions = {
        name: len(inspect.signature(getattr(driver, name)).parameters)
        for name, _ in calls()
        if hasattr(driver, name)
    }
    known = {member for kind in ENUMS for member in getattr(driver, kind).__members__}
    content = {"functions": functions, "members": sorted(members() & known)}
    output = HERE / "driver_api" / f"{version('cuda-bindings')}.json"
    output.parent.mkdir(exist_ok=True)
    output.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
