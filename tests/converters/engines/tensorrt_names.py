"""Which names of NVIDIA's bindings our code uses, and which of them a version has.

    python tests/converters/engines/tensorrt_names.py FOLDER

writes `tensorrt_api/VERSION.json` for the bindings in FOLDER, an unpacked wheel of
tensorrt-cu12-bindings or tensorrt-cu13-bindings for this Python. They are imported against
libraries of the right names whose functions do nothing: nothing can be built with them, but they
say what there is.
"""

from __future__ import annotations

import ast
import ctypes
import importlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
SOURCES = tuple(
    ROOT / name
    for name in (
        "converters/engines/tensorrt_builder.py", "converters/parsed_network.py",
        "runtime/backends/tensorrt_plan.py", "runtime/backends/tensorrt_execution.py",
        "calibration/profiles/tensorrt.py",
    )
)  # fmt: skip
CLASSES = {
    "builder": "Builder", "config": "IBuilderConfig", "network": "INetworkDefinition",
    "parser": "OnnxParser", "profile": "IOptimizationProfile", "native": "ILayer",
    "tensor": "ITensor", "scaling": "IDequantizeLayer", "elementwise": "IElementWiseLayer",
    "pooling": "IPoolingLayer", "convolution": "IConvolutionLayer",
    "problem": "ParserError", "runtime": "Runtime", "engine": "ICudaEngine",
    "executor": "IExecutionContext", "inspector": "EngineInspector", "profiler": "IProfiler",
    "settings": "IRuntimeConfig",
}  # fmt: skip
"""What our code calls an object -> its class in the library."""


def used() -> set[str]:
    """Return "Class", "Class.member" and "function" of everything that our code uses."""
    names: set[str] = set()
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                names.update(_name(node))
    return {name for name in names if not name.startswith("_") and ".__" not in name}


def _name(node: ast.Attribute) -> Iterator[str]:
    parts = [node.attr]
    inner: ast.expr = node.value
    while isinstance(inner, ast.Attribute):
        parts.insert(0, inner.attr)
        inner = inner.value
    if isinstance(inner, ast.Name):
        parts.insert(0, inner.id)
    if "trt" in parts[:-1]:
        yield ".".join(parts[parts.index("trt") + 1 :])
    elif len(parts) > 1 and parts[-2] in CLASSES:
        yield f"{CLASSES[parts[-2]]}.{parts[-1]}"


def has(module: ModuleType, name: str) -> bool:
    """Tell whether a library has a name."""
    value: object = module
    for part in name.split("."):
        if not hasattr(value, part):
            return False
        value = getattr(value, part)
    return True


def load(folder: Path) -> ModuleType:
    """Import bindings without their libraries."""
    binary = folder / "tensorrt_bindings" / "tensorrt.so"
    libraries = re.findall(r"\[(libnv[^\]]+)\]", _output("readelf", "-d", binary))
    functions = re.findall(
        r" U ((?:create|get|init)\w+)$", _output("nm", "-D", binary), re.MULTILINE
    )
    source = "".join(f"void *{name}(void) {{ return 0; }}\n" for name in functions)
    with tempfile.TemporaryDirectory() as scratch:
        for library in libraries:
            path = Path(scratch) / library
            command = ["gcc", "-shared", "-x", "c", "-", "-o", path, f"-Wl,-soname,{library}"]
            subprocess.run(command, check=True, input=source, text=True)
            ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
        sys.path.insert(0, str(folder))
        return importlib.import_module("tensorrt_bindings.tensorrt")


def _output(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def main() -> None:
    """Write the names that a version has."""
    folder = Path(sys.argv[1]).resolve()
    (version,) = (path.name.split("-")[1] for path in folder.glob("*.dist-info"))
    module = load(folder)
    found = sorted(name for name in used() if has(module, name))
    output = HERE / "tensorrt_api" / f"{version.removesuffix('.dist')}.json"
    output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
