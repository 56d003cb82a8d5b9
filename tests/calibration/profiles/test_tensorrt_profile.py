"""Layers of TensorRT back to layer groups: names of the forms that its documentation shows.

No engine was profiled here: the names are TensorRT's, the times are made up.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_cuda import FakeDriver
from fake_tensorrt import FakeTensorrt, engine_bytes
from small_graphs import table_of
from tiny import tiny_spec

from edge_sdk.calibration.group_graph import GroupGraph
from edge_sdk.calibration.latency import LatencyTable, latency_table
from edge_sdk.calibration.profiles import Kernel, check, profile
from edge_sdk.calibration.profiles.tensorrt import kernels, labels
from edge_sdk.converters.convert import convert
from edge_sdk.converters.layer_groups import layer_groups
from edge_sdk.converters.lowering.tensorrt import lower
from edge_sdk.converters.model_file import load_model
from edge_sdk.errors import EdgeError


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    return convert(tiny_model, tmp_path_factory.mktemp("profiles") / "model.onnx").output


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("stem.conv + stem.act", ("stem.conv", "stem.act")),
        ("Reformatting CopyNode for Input Tensor 0 to stem.conv + stem.act",
         ("stem.conv", "stem.act")),
        ("Reformatting CopyNode for Output Tensor 0 to head/cls", ("head/cls",)),
        ("PWN(PWN(sigmoid_1), mul_1)", ("PWN", "PWN", "sigmoid_1", "mul_1")),
        ("{ForeignNode[a.quantize...b.act]}", ("ForeignNode", "a.quantize", "b.act")),
        ("conv1 || conv2", ("conv1", "conv2")),
        ("__myl_Conv_7", ("neck.conv", "neck.act")),
    ],
)  # fmt: skip
def test_names_are_taken_apart(name: str, expected: tuple[str, ...]) -> None:
    assert labels(name, {"__myl_Conv_7": ("neck.conv", "neck.act")}) == expected


def test_every_time_finds_its_group(named: Path) -> None:
    """The nodes of a lowered graph, fused as TensorRT fuses them, and the tail behind it."""
    model = load_model(named)
    groups = layer_groups(model)
    everything = frozenset(layer for group in groups for layer in group.layers)
    lowered = lower(model, table_of(model, {}), everything)
    listed, times = [], {}
    for number, node in enumerate(lowered.graph.node):
        name = f"__myl_{number}" if number % 2 else f"{node.name} + {node.name}.fused"
        metadata = "\x1f".join(f"[ONNX Layer: {one}]" for one in (node.name, "other"))
        listed.append({"Name": name, "Metadata": metadata if number % 2 else ""})
        times[name] = [5.0, 1.0, 0.5]
        if node.op_type == "Conv":
            times[f"Reformatting CopyNode for Input Tensor 0 to {name}"] = [0.25]
    found = kernels(json.dumps({"Layers": ["a name only", *listed]}), times)
    graph = GroupGraph(model, groups)
    owned = {owner for kernel in found for owner in graph.owners(kernel.labels) or ()}
    assert owned == {group.name for group in groups}
    tail = [kernel for kernel in found if any("candidates." in one for one in kernel.labels)]
    assert tail
    assert {graph.owners(kernel.labels) for kernel in tail} == {()}
    reorders = [k for k, name in zip(found, times, strict=True) if name.startswith("Reformat")]
    assert all(graph.owners(kernel.labels) for kernel in reorders)
    assert {kernel.ms for kernel in found} == {1.0, 0.25}


def test_a_table_measured_there_is_read_here(named: Path, tmp_path: Path) -> None:
    model = load_model(named)
    groups = layer_groups(model)
    names = [group.name for group in groups]
    pure = [Kernel((group.layers[0],), 1.0) for group in groups]
    half = [Kernel(kernel.labels, 0.5) for kernel in pure]
    profiles = {frozenset(): pure, frozenset(names): half}
    made = latency_table(
        "key", "tensorrt", GroupGraph(model, groups), groups, profiles, 2.0, 1.0, {}
    )
    made.save(tmp_path / "t4.json")
    read = LatencyTable.load(tmp_path / "t4.json")
    read.check("key", "tensorrt:remote", names)
    assert read.predict(names) == pytest.approx(1.0)
    with pytest.raises(EdgeError, match="of the target 'tensorrt', not of 'openvino'"):
        read.check("key", "openvino", names)


def test_medians_of_a_profiled_run(
    fake_trt: FakeTensorrt, cuda: FakeDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over a fake TensorRT: that the profiler is asked and everything given back."""
    monkeypatch.setattr("edge_sdk.calibration.profiles.tensorrt._SETTLE", 0.05)
    fake_trt.profile_layers = [("conv + act", 0.5), ("tail", 0.1)]
    layers = [{"Name": "tail", "Metadata": "[ONNX Layer: candidates.TopK1]"}]
    path = tmp_path / "a.engine"
    path.write_bytes(engine_bytes(tiny_spec(), layers=layers))
    found = profile(path, "tensorrt", tiny_spec(), repetitions=3)
    assert found == [Kernel(("conv", "act"), 0.5), Kernel(("candidates.TopK1",), 0.1)]
    assert cuda.done.count((cuda.done[-1][0], "engine")) > 1 + 3  # those that were not counted


def test_without_a_gpu_nothing_is_profiled() -> None:
    if Path("/proc/driver/nvidia/version").exists():
        pytest.skip("there is a driver here")
    with pytest.raises(EdgeError, match="no NVIDIA driver here"):
        check("tensorrt")
    with pytest.raises(EdgeError, match="cannot be profiled"):
        check("tensorrt-rtx:sm75")
