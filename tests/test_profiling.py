"""The verb profile on a GPU: what is built and kept; builder and profiler are stood in for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest
from fake_cuda import FakeDriver
from small_graphs import table_of

from edge_sdk import cuda_driver, gpu_state, profiling
from edge_sdk.calibration import profiles
from edge_sdk.calibration.profiles import Kernel
from edge_sdk.converters.convert import convert
from edge_sdk.converters.layer_groups import layer_groups
from edge_sdk.converters.model_file import head_spec_of, load_model
from edge_sdk.errors import EdgeError
from edge_sdk.evaluation.timing import Timing


class FakeTrial:
    """Keeps the graphs that it is given; what is INT8 runs in half the time."""

    built: dict[str, onnx.ModelProto]

    def __init__(self, target: str, folder: Path, threads: int | None) -> None:
        self.engines: dict[str, Path] = {}
        self.times: dict[str, Timing] = {}
        FakeTrial.built = {}

    def add(self, name: str, graph: onnx.ModelProto) -> None:
        FakeTrial.built[name] = graph
        self.engines[name] = Path(name)

    def drop(self, name: str) -> None:
        del self.engines[name]

    def time(self, spec: Any) -> None:
        self.times = {name: Timing(ms, ms, ms, 15) for name, ms in (("float", 2.0), ("int8", 1.0))}

    def measured(self) -> dict[str, Any]:
        return {"conditions": {"cpu": "x", "threads": 2}, "inference_ms": {}}


def fake_profile(engine: Path, *rest: Any, **more: Any) -> list[Kernel]:
    graph = FakeTrial.built[engine.name]
    layers = ("Conv", "QuantizeLinear")
    times = [0.1 if node.op_type in layers else 0.001 for node in graph.graph.node]
    return [Kernel((n.name,), ms) for n, ms in zip(graph.graph.node, times, strict=True)]


@pytest.mark.parametrize("target", ["tensorrt:remote", "tensorrt-rtx:sm75"])
def test_what_cannot_be_profiled_is_said_before_any_work(target: str, tmp_path: Path) -> None:
    """Neither file is there, and none is asked for."""
    with pytest.raises(EdgeError, match="cannot be profiled"):
        profiling.profile(tmp_path / "m.onnx", tmp_path / "m.calib", target, tmp_path / "t.json")


def test_float_and_int8_engines_are_of_the_gpus_own_form(
    cuda: FakeDriver, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profiling, "EngineTrial", FakeTrial)
    monkeypatch.setattr(profiles, "profile", fake_profile)
    monkeypatch.setattr(gpu_state, "gpus", cuda_driver.gpus)
    graph = load_model(convert(tiny_model, tmp_path / "model.onnx").output)
    groups = layer_groups(graph)
    table = profiling.measure(graph, head_spec_of(graph), groups, table_of(graph, {}), "tensorrt")
    assert set(FakeTrial.built) > {"float", "int8"}
    for name, built in FakeTrial.built.items():
        assert built.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
        quantized = any(node.op_type == "QuantizeLinear" for node in built.graph.node)
        assert quantized == (name != "float")
    assert table.target == "tensorrt"
    assert table.predict(()) == pytest.approx(2.0)
    assert table.predict(table.groups) == pytest.approx(1.0)
    assert table.conditions["gpu_before"]["name"] == table.conditions["gpu_after"]["name"]
