"""What a built engine really does, from what TensorRT's engine inspector says of it.

The inspector's JSON (`trtexec --exportLayerInfo`, or the detailed output of IEngineInspector)
lists the kernels of an engine, with the ONNX nodes that each one does the work of. So here, and
only here, it shows whether a planned layer got an integer kernel, and how many kernels do nothing
but rearrange values. TensorRT 10 says "Format/Datatype", TensorRT 11 has the two apart.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from edge_sdk.converters.plan_linter import Finding, Lint
from edge_sdk.errors import EdgeError

_NODE = re.compile(r"\[ONNX Layer: ([^\]]*)\]")
_INT8_TACTIC = re.compile(r"int8|imma|i8i8|_i8", re.IGNORECASE)


def lint_engine(path: Path | str, planned: Collection[str]) -> Lint:
    """Look for planned layers without an integer kernel, and for kernels that cost time.

    Parameters
    ----------
    path : the inspector's JSON.
    planned : names of the layers that are to run in INT8.

    Raises
    ------
    EdgeError
        If the file is not what an inspector writes, or has no details.
    """
    layers = _layers(path)
    integer = {name for layer in layers if _is_integer(layer) for name in _nodes(layer)}
    missing = sorted(set(planned) - integer)
    findings = [Finding("plan", name, "no integer kernel does its work") for name in missing]
    findings += _reformats(layers)
    findings += _float_outputs(layers, planned)
    return Lint(len(planned), len(planned) - len(missing), tuple(findings))


def _layers(path: Path | str) -> list[dict[str, Any]]:
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EdgeError(f"Cannot read the layers of an engine from {path}: {error}.") from error
    layers = values.get("Layers") if isinstance(values, dict) else None
    if not isinstance(layers, list) or not all(isinstance(layer, dict) for layer in layers):
        raise EdgeError(
            f"{path} has no detailed list of layers: build with detailed profiling verbosity and "
            "export it with `trtexec --exportLayerInfo=layers.json`."
        )
    return layers


def _nodes(layer: dict[str, Any]) -> list[str]:
    return _NODE.findall(str(layer.get("Metadata", "")))


def _kinds(layer: dict[str, Any], end: str) -> list[str]:
    """Return the types of a layer's inputs or outputs, in the inspector's words."""
    return [
        str(tensor.get("Datatype") or tensor.get("Format/Datatype") or "")
        for tensor in layer.get(end, ())
        if isinstance(tensor, dict)
    ]


def _is_integer(layer: dict[str, Any]) -> bool:
    """Tell whether a kernel multiplies integers."""
    weights = layer.get("Weights")
    kinds = [str(weights.get("Type", ""))] if isinstance(weights, dict) else []
    kinds += _kinds(layer, "Inputs")
    return layer.get("LayerType") != "Reformat" and (
        any("int8" in kind.lower() for kind in kinds)
        or _INT8_TACTIC.search(str(layer.get("TacticName", ""))) is not None
    )


def _reformats(layers: list[dict[str, Any]]) -> Iterator[Finding]:
    for layer in layers:
        if layer.get("LayerType") == "Reformat":
            before, after = (", ".join(_kinds(layer, end)) for end in ("Inputs", "Outputs"))
            yield Finding("reformat", str(layer.get("Name", "")), f"{before} to {after}")


def _float_outputs(layers: list[dict[str, Any]], planned: Collection[str]) -> Iterator[Finding]:
    for layer in layers:
        names = [name for name in _nodes(layer) if name in planned]
        outputs = _kinds(layer, "Outputs")
        if names and outputs and not any("int8" in kind.lower() for kind in outputs):
            yield Finding("float_output", names[0], f"its kernel writes {', '.join(outputs)}")
