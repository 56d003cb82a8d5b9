"""Against JSON of the form that TensorRT's documentation shows; no engine was inspected here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge_sdk.converters.engine_linter import lint_engine
from edge_sdk.errors import EdgeError

INT8 = "Thirty-two wide channel vectorized row major Int8 format"
HALF = "Row major linear FP16 format"


def kernel(nodes: str, before: str, after: str, kind: str = "CaskConvolution") -> dict[str, Any]:
    return {
        "Name": nodes,
        "LayerType": kind,
        "Inputs": [{"Name": "a", "Format/Datatype": before}],
        "Outputs": [{"Name": "b", "Format/Datatype": after}],
        "Metadata": "\x1f".join(f"[ONNX Layer: {node}]" for node in nodes.split()),
    }


def write(folder: Path, layers: list[dict[str, Any]]) -> Path:
    path = folder / "layers.json"
    path.write_text(json.dumps({"Layers": layers}))
    return path


def test_planned_layers_without_an_integer_kernel_are_faults(tmp_path: Path) -> None:
    layers = [
        kernel("stem stem.act", INT8, INT8),
        kernel("neck", INT8, HALF),
        kernel("head", HALF, HALF),
    ]
    found = lint_engine(write(tmp_path, layers), {"stem", "neck", "head", "gone"})
    assert {f.layer for f in found.findings if f.rule == "plan"} == {"head", "gone"}
    assert {f.layer for f in found.findings if f.rule == "float_output"} == {"neck", "head"}
    assert (found.planned, found.carried_out, found.excess()) == (4, 2, ["plan"])


def test_kernels_that_only_rearrange_are_counted(tmp_path: Path) -> None:
    layers = [kernel("stem", HALF, INT8, "Reformat"), kernel("stem", INT8, INT8)]
    found = lint_engine(write(tmp_path, layers), {"stem"})
    assert found.counts()["reformat"] == 1
    assert found.excess({"reformat": 0}) == ["reformat"]
    assert found.excess() == []


@pytest.mark.parametrize("kind", ["Datatype", "DataType"])
def test_types_are_read_as_tensorrt_11_writes_them(tmp_path: Path, kind: str) -> None:
    layer = kernel("stem", "", "")
    layer["Inputs"] = [{"Name": "a", "Format": "CHW32", kind: "Int8"}]
    layer["Outputs"] = [{"Name": "b", "Format": "Linear", kind: "Half"}]
    found = lint_engine(write(tmp_path, [layer]), {"stem"})
    assert found.carried_out == 1
    assert "its kernel writes Half" in found.text()


@pytest.mark.parametrize("key", ["medianMs", "averageMs"])
def test_a_profile_tells_what_a_conversion_costs(tmp_path: Path, key: str) -> None:
    layers = [
        kernel("stem", HALF, INT8, "Reformat"),
        kernel("neck", INT8, HALF, "Reformat"),
        kernel("head", INT8, HALF),
    ]
    profile = tmp_path / "profile.json"
    times = {"stem": 0.01, "neck": 0.03, "head": 0.06}
    entries = [{"count": 100}, *({"name": name, key: ms} for name, ms in times.items())]
    profile.write_text(json.dumps(entries))
    found = lint_engine(write(tmp_path, layers), {"head"}, profile)
    reformats = [finding for finding in found.findings if finding.rule == "reformat"]
    assert [finding.layer for finding in reformats] == ["neck", "stem"]
    assert reformats[0].text.endswith("; 0.0300 ms, 30.0% of all")
    assert "60.0% of all" in next(f.text for f in found.findings if f.rule == "float_output")


@pytest.mark.parametrize("text", ["", "3", "[1]", '[{"name": "stem"}]'])
def test_what_is_no_profile_is_refused(tmp_path: Path, text: str) -> None:
    profile = tmp_path / "profile.json"
    profile.write_text(text)
    with pytest.raises(EdgeError, match="Cannot read the profile"):
        lint_engine(write(tmp_path, []), set(), profile)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"Layers": ["a name only"]}'])
def test_what_is_no_list_of_layers_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "layers.json"
    path.write_text(text)
    with pytest.raises(EdgeError, match=r"Cannot read the layers|no detailed list of layers"):
        lint_engine(path, set())
