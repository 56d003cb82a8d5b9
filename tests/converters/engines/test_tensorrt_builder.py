"""Building ahead of time with TensorRT-RTX: no GPU is needed, and none is claimed."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from fake_cuda import FakeDriver
from fake_tensorrt import FakeTensorrt, engine_bytes
from onnx import TensorProto, helper
from small_graphs import layers_of, table_of
from tiny import tiny_spec, write_tiny_model
from typed_graphs import GRIDS, layer, pair, typed_graph

from edge_sdk.converters.engines import write_engine
from edge_sdk.converters.engines.tensorrt_builder import (
    BuildLog,
    BuildOptions,
    ParsedNetwork,
    _failure,
    _set_capability,
    build,
    capabilities,
    parse,
)
from edge_sdk.converters.engines.tensorrt_files import _look_inside
from edge_sdk.converters.lowering.tensorrt import LAYERS_KEY, lower
from edge_sdk.converters.model_file import load_model, set_metadata
from edge_sdk.cuda_driver import Gpu
from edge_sdk.errors import EdgeError, NoInt8Kernel


def small(planned: str | None = "y", **options: Any) -> onnx.ModelProto:
    model = typed_graph([*pair("x", "xd"), *layer("xd", "y")], GRIDS, **options)
    if planned is not None:
        set_metadata(model, LAYERS_KEY, json.dumps([planned]))
    return model


def lowered_tiny(folder: Path, batch: int | str = 1) -> onnx.ModelProto:
    model = load_model(write_tiny_model(folder / "tiny.onnx", batch=batch))
    for n in model.graph.node:
        n.name = n.output[0]
    return lower(model, table_of(model, {}), layers_of(model))


@pytest.mark.parametrize("batch", [1, "batch"])
def test_a_lowered_detector_builds_for_a_t4(
    trt: ModuleType, tmp_path: Path, batch: int | str
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        engine = write_engine("tensorrt-rtx:sm75", lowered_tiny(tmp_path, batch), tmp_path)
    assert engine.stat().st_size > 10_000
    assert engine.name.startswith(f"sm75_tensorrt-rtx-{trt.__version__}_")
    assert "11 of 11 planned INT8 layers" in (tmp_path / "lint.txt").read_text()
    assert "VERBOSE" in (tmp_path / "build.log").read_text()
    assert (tmp_path / "lowered.onnx").is_file()


def test_equal_graphs_give_equal_names_and_others_do_not(trt: ModuleType, tmp_path: Path) -> None:
    names = []
    for number, model in enumerate([small(), small(), small(shape=[1, 32, 8, 8])]):
        folder = tmp_path / str(number)
        folder.mkdir()
        names.append(write_engine("tensorrt-rtx:sm86", model, folder).name)
    assert names[0] == names[1] != names[2]


def test_a_network_that_is_not_as_planned_is_not_built(trt: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match=r"not what the plan says: other: .* 2 faults"):
        write_engine("tensorrt-rtx:sm75", small(planned="other"), tmp_path)
    assert not list(tmp_path.glob("*.engine"))
    with pytest.raises(EdgeError, match="does not say which of its layers"):
        write_engine("tensorrt-rtx:sm75", small(planned=None), tmp_path)


@pytest.mark.parametrize(
    ("nodes", "constants", "message"),
    [
        (pair("x", "y"), {"s": np.float16(0.1), "z": np.int8(3)}, "Non-zero zero point"),
        (
            [helper.make_node("Add", ["x", "c"], ["y"], "add")],
            {"c": np.ones(1, np.float32)},
            "must have same input types",
        ),
        ([helper.make_node("Frobnicate", ["x"], ["y"], "frob")], {}, "Plugin not found"),
    ],
)
def test_what_the_parser_refuses_is_said_in_one_sentence(
    trt: ModuleType, nodes: list[onnx.NodeProto], constants: dict[str, Any], message: str
) -> None:
    with pytest.raises(EdgeError, match=message) as caught:
        parse(trt, typed_graph(nodes, constants).SerializeToString())
    assert "\n" not in str(caught.value)


def test_what_the_compiler_refuses_is_said_in_one_sentence(trt: ModuleType) -> None:
    model = typed_graph(
        [helper.make_node("MatMul", ["x", "m"], ["y"], "product")],
        {"m": np.eye(16, dtype=np.float32)},
        kind=TensorProto.FLOAT,
    )
    parsed = parse(trt, model.SerializeToString())
    with pytest.raises(EdgeError, match=r"'product' for Turing .*FP32 GEMM is not supported"):
        build(parsed, BuildOptions(), "sm75")
    assert parsed.log.errors


def test_a_gpu_that_cannot_be_built_for_is_refused(trt: ModuleType) -> None:
    assert "sm75" in capabilities(trt)
    with pytest.raises(EdgeError, match="cannot build for sm999, only for sm75, sm80, sm86"):
        build(parse(trt, small().SerializeToString()), BuildOptions(), "sm999")


def test_the_gpu_that_is_here_is_built_for_though_it_cannot_be_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stand-in for the library: what it is told is what is tested, not that it can do it."""
    told: list[tuple[str, int]] = []
    config = SimpleNamespace(set_compute_capability=lambda name, place: told.append((name, place)))
    names = SimpleNamespace(SM75="SM75", CURRENT="CURRENT", __members__={"SM75": 1, "CURRENT": 2})
    library = SimpleNamespace(ComputeCapability=names, __name__="rtx", __version__="1")
    here = Gpu(0, "H200", "sm90")
    monkeypatch.setattr("edge_sdk.converters.engines.tensorrt_builder.first_gpu", lambda: here)
    for capability in ("sm90", "", "sm75"):
        _set_capability(library, config, capability)
    assert told == [("CURRENT", 0), ("CURRENT", 0), ("SM75", 0)]
    with pytest.raises(EdgeError, match="cannot build for sm87, only for sm75"):
        _set_capability(library, config, "sm87")


def test_options_are_taken_or_refused(trt: ModuleType) -> None:
    options = BuildOptions(workspace_mib=64, optimization_level=2, timing_cache=Path("none"))
    assert build(parse(trt, small().SerializeToString()), options, "sm75")
    for refused, message in (
        (BuildOptions(dla=0), "no deep learning accelerator 0"),
        (BuildOptions(hardware_compatibility="all"), "no hardware compatibility 'all'"),
    ):
        with pytest.raises(EdgeError, match=message):
            build(parse(trt, small().SerializeToString()), refused, "sm75")


def test_progress_is_told_and_what_it_raises_cancels(trt: ModuleType) -> None:
    told: list[tuple[int, int]] = []
    parsed = parse(trt, small().SerializeToString())
    build(
        parsed,
        BuildOptions(),
        "sm75",
        progress=lambda done, total, what: told.append((done, total)),
    )
    assert told
    assert told == sorted(told)

    calls = []

    def interrupt(done: int, total: int, what: str) -> None:
        calls.append(done)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(parse(trt, small().SerializeToString()), BuildOptions(), "sm75", progress=interrupt)
    assert len(calls) == 1


def failed(message: str) -> BuildLog:
    """A log with one error; no library is behind it."""
    log = BuildLog.__new__(BuildLog)
    log.lines, log.errors = [], [message]
    return log


def test_layers_without_an_integer_kernel_are_named() -> None:
    text = "Could not find any implementation for node {ForeignNode[a.conv1 + a.conv1.act]}."
    error = _failure(failed(text), ["a.conv1", "a.conv", "conv1", "b"])
    assert isinstance(error, NoInt8Kernel)
    assert error.layers == {"a.conv1"}
    other = _failure(failed("out of memory"), ["a.conv1"])
    assert not isinstance(other, NoInt8Kernel)
    assert "out of memory" in str(other)


@pytest.mark.parametrize("batch", [1, "batch"])
def test_a_device_elsewhere_gets_the_graph_and_the_commands(
    tmp_path: Path, batch: int | str
) -> None:
    graph = write_engine("tensorrt:remote", lowered_tiny(tmp_path, batch), tmp_path)
    assert graph.name == "lowered.onnx"
    text = (tmp_path / "COMMANDS.txt").read_text()
    assert "trtexec --onnx=lowered.onnx --stronglyTyped" in text
    assert ("--maxShapes=images:8x3x96x128" in text) == (batch == "batch")
    assert "nothing was timed" in text


def test_without_a_driver_tensorrt_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_sdk.cuda_driver._NAME", "libcuda-none.so.1")
    with pytest.raises(EdgeError, match=r"There is no NVIDIA driver here .*tensorrt:remote"):
        write_engine("tensorrt", small(), tmp_path)


def test_a_library_that_cannot_start_says_so() -> None:
    class Logger:
        pass

    def refuse(logger: object) -> None:
        raise TypeError("factory function returned nullptr")

    fake = SimpleNamespace(ILogger=Logger, Builder=refuse, __name__="tensorrt", __version__="0")
    with pytest.raises(EdgeError, match=r"tensorrt 0 cannot start .* needs an NVIDIA GPU"):
        parse(fake, b"")  # type: ignore[arg-type]


def test_an_engine_built_for_the_gpu_here_is_looked_into(
    fake_trt: FakeTensorrt, cuda: FakeDriver, tmp_path: Path
) -> None:
    """Over a fake TensorRT, which stands in for the engine inspector only."""
    layers = [
        {
            "Name": "a",
            "LayerType": "Conv",
            "TacticName": "sm75_imma",
            "Metadata": "[ONNX Layer: a]",
        },
        {"Name": "r", "LayerType": "Reformat"},
    ]
    cuda.foreign_context()
    parsed = ParsedNetwork(fake_trt, None, None, BuildLog(fake_trt), None)
    _look_inside(parsed, engine_bytes(tiny_spec(), layers=layers), tmp_path, frozenset({"a", "b"}))
    assert json.loads((tmp_path / "layers.json").read_text())["Layers"] == layers
    assert fake_trt.host_code_allowed == [True]  # our own build; version-compatible ones need it
    words = (tmp_path / "lint.txt").read_text()
    assert "In the engine: 1 of 2 planned INT8 layers" in words
    assert "note reformat: 1" in words
