"""The quantization table of a plan: each group's own range method for the tensor that it reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edge_sdk.files import write_text
from edge_sdk.precision_plan import PlanGroup
from edge_sdk.progress import Progress, silent

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import onnx

    from edge_sdk.calibration import Calibration
    from edge_sdk.quantization_table import QuantizationTable


def planned_table(
    calibration: Calibration,
    graph: onnx.ModelProto,
    groups: Sequence[PlanGroup],
    target: str,
    method: str,
    exceptions: Mapping[str, str],
) -> QuantizationTable:
    """Return the table for a target with a method for all and, group -> method, exceptions."""
    inputs = _inputs(graph, groups)
    return calibration.quantization_table(
        graph, target, method, {inputs[name]: other for name, other in exceptions.items()}
    )


def chosen_ranges(
    calibration: Calibration,
    graph: onnx.ModelProto,
    groups: Sequence[PlanGroup],
    target: str,
    images: Sequence[npt.NDArray[np.float32]],
    cache: Path,
    progress: Progress = silent,
) -> tuple[str, dict[str, str]]:
    """Choose range methods by the errors that they cause; see `calibration.range_choice`.

    Parameters
    ----------
    calibration, graph, groups, target : what is to be quantized.
    images : float32 [1, 3, H, W] each, preprocessed; a few.
    cache : JSON file; what it holds of the same choice is not made again.
    progress : told of each image.

    Returns
    -------
    The method for all, and the exceptions, group -> method.
    """
    from edge_sdk.calibration.range_choice import choose_ranges
    from edge_sdk.converters.lowering.instruction_set import needs_seven_bit_weights

    plain = calibration.quantization_table(graph, target)
    digest = hashlib.sha256(f"{plain.key} {target}".encode())
    for image in images:
        digest.update(image.tobytes())
    key = digest.hexdigest()
    known = _known(cache, key)
    if known is None:
        method, table = choose_ranges(
            graph, calibration, target, images,
            seven_bit_weights=needs_seven_bit_weights(target), progress=progress,
        )  # fmt: skip
        inputs = _inputs(graph, groups)
        methods = {name: table.activations[tensor].method for name, tensor in inputs.items()}
        known = method, {name: other for name, other in methods.items() if other != method}
        write_text(cache, json.dumps({"key": key, "method": known[0], "exceptions": known[1]}))
    return known


def _inputs(graph: onnx.ModelProto, groups: Sequence[PlanGroup]) -> dict[str, str]:
    """Return the tensor that each group reads."""
    reads = {node.name: node.input[0] for node in graph.graph.node if node.input}
    return {group.name: reads[group.layers[0]] for group in groups}


def _known(cache: Path, key: str) -> tuple[str, dict[str, str]] | None:
    try:
        values = json.loads(cache.read_text(encoding="utf-8"))
        if values["key"] != key:
            return None
        return str(values["method"]), dict(values["exceptions"])
    except (OSError, KeyError, TypeError, ValueError):
        return None
