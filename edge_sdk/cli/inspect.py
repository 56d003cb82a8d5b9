"""edge-sdk inspect: what is in a bundle or a model."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_sdk.cli.console import print_json, results
from edge_sdk.cli.tables import cell, table

if TYPE_CHECKING:
    from edge_sdk.bundle import Bundle
    from edge_sdk.head_spec import HeadSpec


def inspect(
    path: Annotated[Path, typer.Argument(help="A bundle NAME.edge, or a .onnx.")],
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show what a bundle or a model holds; every hash of a bundle is verified."""
    from edge_sdk.bundle import Bundle

    if path.suffix == ".onnx":
        found = _model(path)
    else:
        with Bundle.open(path) as bundle:
            found = _bundle(bundle)
    if json:
        print_json(found)
    else:
        _show(found)


def _bundle(bundle: Bundle) -> dict[str, Any]:
    manifest = bundle.manifest
    return {
        "bundle": str(bundle.path),
        "schema": manifest["schema"],
        "hashes": f"all {len(manifest['files'])} files are what the manifest says",
        "head": _head(bundle.head_spec),
        "classes": list(bundle.head_spec.class_names),
        "engines": [
            {
                "target": target,
                **engine,
                "megabytes": round(_engine_size(bundle, target) / 1e6, 2),
            }
            for target, engine in manifest["engines"].items()
        ],
        "precision": manifest.get("precision", {}),
        "kept_float": _kept_float(bundle),
        "provenance": manifest.get("provenance", {}),
        "measured": manifest.get("measured", {}),
        "files": manifest["files"],
    }


def _engine_size(bundle: Bundle, target: str) -> int:
    """Return the bytes of a target's engine and of the weights beside it."""
    engine = bundle.engine_file(target)
    return sum(file.stat().st_size for file in engine.parent.glob(engine.stem + ".*"))


def _kept_float(bundle: Bundle) -> list[dict[str, Any]]:
    """Return the layer groups that the precision plan leaves in float, and why."""
    from edge_sdk.precision_plan import PrecisionPlan

    if "plan.yaml" not in bundle.manifest["files"]:
        return []
    plan = PrecisionPlan.load(bundle.file("plan.yaml"))
    return [
        {"group": group.name, "layers": list(group.layers), "why": group.why}
        for group in plan.groups
        if group.precision == "float"
    ]


def _model(path: Path) -> dict[str, Any]:
    from edge_sdk.converters.model_file import load_model, metadata, model_key
    from edge_sdk.head_spec import METADATA_KEY, HeadSpec

    model = load_model(path)
    spec = metadata(model).get(METADATA_KEY)
    head = HeadSpec.from_json(spec) if spec else None
    weights = sum(_elements(tensor.dims) for tensor in model.graph.initializer)
    return {
        "model": str(path),
        "key": model_key(model),
        "opset": max(
            entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")
        ),
        "inputs": {value.name: _shape(value) for value in model.graph.input},
        "outputs": {value.name: _shape(value) for value in model.graph.output},
        "head": _head(head) if head else "none: convert it with `edge-sdk convert`",
        "classes": list(head.class_names) if head else [],
        "weights": weights,
        "megabytes": round(path.stat().st_size / 1e6, 2),
        "nodes": dict(Counter(node.op_type for node in model.graph.node).most_common()),
    }


def _elements(dims: Any) -> int:
    count = 1
    for dim in dims:
        count *= dim
    return count


def _shape(value: Any) -> list[int | str]:
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


def _head(spec: HeadSpec) -> dict[str, Any]:
    values = spec.to_dict()
    del values["class_names"]
    return values


def _show(found: dict[str, Any]) -> None:
    for name, value in found.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            results.print(table(value, title=name))
        elif isinstance(value, dict):
            results.print(table(_rows(value), title=name))
        elif isinstance(value, list) and value:  # names may hold commas
            rows = [{"number": number, "name": one} for number, one in enumerate(value)]
            results.print(table(rows, title=name))
        else:
            results.print(f"{name}: {cell(value)}")


def _rows(values: dict[str, Any], prefix: str = "") -> list[dict[str, Any]]:
    """Return nested values as rows with dotted names."""
    rows = []
    for name, value in values.items():
        if isinstance(value, dict):
            rows += _rows(value, f"{prefix}{name}.")
        else:
            rows.append({"what": prefix + name, "value": cell(value)})
    return rows
