from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import onnx
import pytest
from small_graphs import layers_of, table_of
from typer.testing import CliRunner

from edge_sdk.bundle import Bundle, write_bundle
from edge_sdk.cli import application
from edge_sdk.cli.lint import parse_limits
from edge_sdk.converters.engines import write_engine
from edge_sdk.converters.lowering.tensorrt import LAYERS_KEY, lower
from edge_sdk.converters.model_file import head_spec_of, load_model, set_metadata
from edge_sdk.errors import EdgeError


@pytest.fixture
def graph(tiny_model: Path, tmp_path: Path) -> Path:
    """The folder of a remote device's bundle: its lowered graph."""
    model = load_model(tiny_model)
    for node in model.graph.node:
        node.name = node.output[0]
    lowered = lower(model, table_of(model, {}), layers_of(model))
    return write_engine("tensorrt:remote", lowered, tmp_path)


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(application(), list(map(str, arguments)))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def test_a_graph_as_planned_passes_and_thresholds_fail_it(trt: ModuleType, graph: Path) -> None:
    status, text = run("lint", graph)
    assert status == 0
    assert text.startswith("11 of 11 planned INT8 layers")
    status, text = run("lint", graph, "--allow", "channels=0", "--json")
    assert status == 1
    found = json.loads(text)
    assert found["excess"] == ["channels"]
    assert found["counts"]["channels"] == 11


def test_a_plan_that_is_not_carried_out_fails(trt: ModuleType, graph: Path) -> None:
    model = load_model(graph)
    set_metadata(model, LAYERS_KEY, json.dumps(["another"]))
    onnx.save(model, graph)
    assert run("lint", graph)[0] == 1


def test_the_layers_of_an_engine_are_read(graph: Path, tmp_path: Path) -> None:
    layers = tmp_path / "layers.json"
    layers.write_text(json.dumps({"Layers": [{"Name": "a", "LayerType": "Reformat"}]}))
    status, text = run("lint", graph, "--engine", layers)
    assert status == 1
    assert text.startswith("0 of 11 planned INT8 layers")


@pytest.mark.parametrize("text", ["plan", "plan=", "plan=-1", "none=3"])
def test_a_threshold_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(EdgeError, match="should be RULE=N"):
        parse_limits([text])


def test_a_cpu_target_is_refused(graph: Path) -> None:
    with pytest.raises(EdgeError, match="has no such graph"):
        run("lint", graph, "--target", "openvino")
    with pytest.raises(EdgeError, match="is not compiled"):
        run("compile", graph, "--target", "tensorrt:remote")


def test_what_our_runtime_would_not_open_goes_into_no_bundle(tiny_bundle: Path) -> None:
    with pytest.raises(EdgeError, match=r"leave --version-compatible out, or compile .*lowered"):
        run("compile", tiny_bundle, "--target", "tensorrt", "--version-compatible")


def test_a_bundle_is_not_a_graph(tiny_bundle: Path) -> None:
    with pytest.raises(EdgeError, match=r"is a bundle: take the lowered\.onnx in its folder"):
        run("lint", tiny_bundle)


def test_an_engine_is_compiled_beside_its_graph(trt: ModuleType, graph: Path) -> None:
    status, _ = run("compile", graph, "--target", "tensorrt-rtx:sm89")
    assert status == 0
    assert len(list(graph.parent.glob("sm89_*.engine"))) == 1
    assert (graph.parent / "build.log").is_file()


def test_a_bundle_gets_the_engine_that_is_compiled(
    trt: ModuleType, graph: Path, tiny_model: Path, tmp_path: Path
) -> None:
    name = "engines/tensorrt-remote/lowered.onnx"
    bundle = write_bundle(
        tmp_path / "remote.edge",
        {"model.onnx": tiny_model, name: graph},
        {
            "head_spec": head_spec_of(load_model(tiny_model)).to_dict(),
            "model_key": "",
            "engines": {"tensorrt:remote": {"file": name, "precision": "int8"}},
        },
    )
    assert run("compile", bundle, "--target", "tensorrt-rtx:sm75")[0] == 0
    with Bundle.open(bundle) as opened:
        assert opened.targets == ("tensorrt:remote", "tensorrt-rtx:sm75")
        assert opened.engine_file("tensorrt-rtx:sm75").suffix == ".engine"
        assert opened.manifest["engines"]["tensorrt-rtx:sm75"]["precision"] == "int8"


def test_a_bundle_without_a_graph_for_tensorrt_is_refused(tiny_bundle: Path) -> None:
    with pytest.raises(EdgeError, match=r"holds no graph for TensorRT: .*tensorrt:remote"):
        run("compile", tiny_bundle, "--target", "tensorrt-rtx:sm75")
