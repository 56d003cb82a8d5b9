"""What a built engine really does, from what TensorRT's engine inspector says of it.

The inspector's JSON (`trtexec --exportLayerInfo`, or the detailed output of IEngineInspector)
lists the kernels of an engine, with the ONNX nodes that each one does the work of. So here, and
only here, it shows whether a planned layer got an integer kernel, and how many kernels do nothing
but rearrange values. TensorRT 10 says "Format/Datatype", TensorRT 11 has the two apart
(and writes "DataType" in places).
With a profile (`trtexec --exportProfile`) each finding tells its time, the longest first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from edge_sdk.converters.plan_linter import Finding, Lint
from edge_sdk.errors import EdgeError

_NODE = re.compile(r"\[ONNX Layer: ([^\]]*)\]")
_INT8_TACTIC = re.compile(r"int8|imma|i8i8|_i8", re.IGNORECASE)


def lint_engine(
    path: Path | str, planned: Collection[str], profile: Path | str | None = None
) -> Lint:
    """Look for planned layers without an integer kernel, and for kernels that cost time.

    Parameters
    ----------
    path : the inspector's JSON.
    planned : names of the layers that are to run in INT8.
    profile : how long each layer takes: the JSON of `trtexec --exportProfile`.

    Raises
    ------
    EdgeError
        If a file is not what TensorRT writes, or has no details.
    """
    layers = _layers(path)
    times = {} if profile is None else _times(profile)
    layers.sort(key=lambda layer: -times.get(str(layer.get("Name")), 0.0))
    integer = {name for layer in layers if _is_integer(layer) for name in nodes_of(layer)}
    missing = sorted(set(planned) - integer)
    findings = [Finding("plan", name, "no integer kernel does its work") for name in missing]
    findings += _reformats(layers, times)
    findings += _float_outputs(layers, planned, times)
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


def _times(path: Path | str) -> dict[str, float]:
    """Return the milliseconds of each layer: medians, or averages of versions without."""
    try:
        entries = json.loads(Path(path).read_text(encoding="utf-8"))
        return {
            str(entry["name"]): float(entry.get("medianMs", entry.get("averageMs")))
            for entry in entries
            if "name" in entry
        }
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise EdgeError(
            f"Cannot read the profile of an engine from {path} ({error}): export it with "
            "`trtexec --exportProfile=profile.json`."
        ) from error


def _cost(layer: dict[str, Any], times: Mapping[str, float]) -> str:
    """Return how long a layer takes, in words; nothing where that is not known."""
    time = times.get(str(layer.get("Name")))
    if time is None:
        return ""
    return f"; {time:.4f} ms, {time / max(sum(times.values()), 1e-9):.1%} of all"


def nodes_of(layer: dict[str, Any]) -> list[str]:
    """Return the graph's nodes that a layer does the work of; none without details."""
    return _NODE.findall(str(layer.get("Metadata", "")))


def _kinds(layer: dict[str, Any], end: str) -> list[str]:
    """Return the types of a layer's inputs or outputs, in the inspector's words."""
    tensors = [tensor for tensor in layer.get(end, ()) if isinstance(tensor, dict)]
    named = [{str(key).lower(): value for key, value in tensor.items()} for tensor in tensors]
    return [str(one.get("datatype") or one.get("format/datatype") or "") for one in named]


def _is_integer(layer: dict[str, Any]) -> bool:
    """Tell whether a kernel multiplies integers."""
    weights = layer.get("Weights")
    kinds = [str(weights.get("Type", ""))] if isinstance(weights, dict) else []
    kinds += _kinds(layer, "Inputs")
    return layer.get("LayerType") != "Reformat" and (
        any("int8" in kind.lower() for kind in kinds)
        or _INT8_TACTIC.search(str(layer.get("TacticName", ""))) is not None
    )


def _reformats(layers: list[dict[str, Any]], times: Mapping[str, float]) -> Iterator[Finding]:
    for layer in layers:
        if layer.get("LayerType") == "Reformat":
            before, after = (", ".join(_kinds(layer, end)) for end in ("Inputs", "Outputs"))
            text = f"{before} to {after}{_cost(layer, times)}"
            yield Finding("reformat", str(layer.get("Name", "")), text)


def _float_outputs(
    layers: list[dict[str, Any]], planned: Collection[str], times: Mapping[str, float]
) -> Iterator[Finding]:
    for layer in layers:
        names = [name for name in nodes_of(layer) if name in planned]
        outputs = _kinds(layer, "Outputs")
        if names and outputs and not any("int8" in kind.lower() for kind in outputs):
            text = f"its kernel writes {', '.join(outputs)}{_cost(layer, times)}"
            yield Finding("float_output", names[0], text)
