"""Each fault planted on purpose, in graphs that NVIDIA's own parser reads."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from typed_graphs import GRIDS, layer, pair, typed_graph

from edge_sdk.converters.engines.tensorrt_builder import parse
from edge_sdk.converters.parsed_network import view
from edge_sdk.converters.plan_linter import FAULTS, Lint, lint


def found(
    trt: ModuleType, model: onnx.ModelProto, planned: set[str], capability: str = "sm75"
) -> Lint:
    return lint(view(trt, parse(trt, model.SerializeToString()).network), planned, capability)


def faults(result: Lint) -> dict[str, int]:
    return {rule: count for rule, count in result.counts().items() if count and rule in FAULTS}


def node(kind: str, inputs: str, output: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(kind, inputs.split(), [output], output, **attributes)


def two_layers() -> list[onnx.NodeProto]:
    """Conv, ReLU, Conv, with a pair in front of each."""
    return [
        *pair("x", "xd"), *layer("xd", "a"), node("Relu", "a", "r"),
        *pair("r", "rd"), *layer("rd", "y"),
    ]  # fmt: skip


def test_a_graph_that_is_as_planned_has_no_fault(trt: ModuleType) -> None:
    result = found(trt, typed_graph(two_layers(), GRIDS), {"a", "y"})
    assert (result.planned, result.carried_out, faults(result)) == (2, 2, {})
    assert result.excess() == []
    assert result.text().startswith("2 of 2 planned INT8 layers")


def test_a_plan_row_that_is_not_carried_out_is_caught(trt: ModuleType) -> None:
    nodes = two_layers()
    nodes[-1].input[0] = "r"  # the second layer reads float
    nodes = [n for n in nodes if "rd" not in n.output[0]]
    result = found(trt, typed_graph(nodes, GRIDS), {"a", "y", "gone"})
    assert faults(result) == {"plan": 2}
    assert "y: planned INT8, but reads float input" in result.text()
    assert "gone: the network has no such convolution" in result.text()
    assert result.carried_out == 1


def test_a_layer_that_the_plan_keeps_float_is_caught(trt: ModuleType) -> None:
    result = found(trt, typed_graph(two_layers(), GRIDS), {"a"})
    assert faults(result) == {"unplanned": 1}


@pytest.mark.parametrize(
    ("kind", "axis", "expected"),
    [("Conv", 0, {}), ("Conv", 1, {"axis": 1}), ("ConvTranspose", 1, {}),
     ("ConvTranspose", 0, {"axis": 1})],
)  # fmt: skip
def test_weights_scaled_along_the_wrong_axis_are_caught(
    trt: ModuleType, kind: str, axis: int, expected: dict[str, int]
) -> None:
    nodes = [*pair("x", "xd"), *layer("xd", "y", kind=kind, axis=axis)]
    assert faults(found(trt, typed_graph(nodes, GRIDS), {"y"})) == expected


def test_a_stranded_pair_is_caught(trt: ModuleType) -> None:
    nodes = [*pair("x", "xd"), node("Sigmoid", "xd", "y")]
    assert faults(found(trt, typed_graph(nodes, GRIDS), set())) == {"stranded": 1}


def test_an_add_makes_use_of_a_pair_only_if_its_values_are_quantized_again(
    trt: ModuleType,
) -> None:
    add = [*pair("x", "xd"), node("Add", "xd x", "sum")]
    good = [*add, *pair("sum", "sd"), *layer("sd", "y")]
    assert faults(found(trt, typed_graph(good, GRIDS), {"y"})) == {}
    bad = [*add, node("Sigmoid", "sum", "y")]
    assert faults(found(trt, typed_graph(bad, GRIDS), set())) == {"stranded": 1}


def test_a_float32_product_is_caught_on_sm75_only(trt: ModuleType) -> None:
    model = typed_graph(
        [node("MatMul", "x m", "y")], {"m": np.eye(16, dtype=np.float32)}, kind=TensorProto.FLOAT
    )
    assert faults(found(trt, model, set())) == {"float32": 1}
    assert faults(found(trt, model, set(), "sm86")) == {}


def test_outputs_that_leave_in_float16_are_noted_but_not_those_quantized_behind_a_move(
    trt: ModuleType,
) -> None:
    nodes = [
        *pair("x", "xd"), *layer("xd", "a"), *layer("xd", "b"), *layer("xd", "c"),
        node("Sigmoid", "a", "gate"), node("Mul", "a gate", "silu"),
        node("Concat", "silu b", "cat", axis=2),
        node("MaxPool", "cat", "pool", kernel_shape=[2, 2]),
        *pair("pool", "pd"), *layer("pd", "y"), node("Add", "c c", "other"),
    ]  # fmt: skip
    result = found(trt, typed_graph(nodes, GRIDS), {"a", "b", "c", "y"})
    noted = {f.layer: f.text for f in result.findings if f.rule == "float_output"}
    assert set(noted) == {"c", "y"}
    assert noted["y"].endswith("an output of the network")
    assert noted["c"].endswith("read by elementwise")


def test_conversions_and_unfilled_tiles_are_noted(trt: ModuleType) -> None:
    grids = {**GRIDS, "w": np.zeros((48, 32, 1, 1), np.int8), "ws": np.full(48, 0.1, np.float16),
             "wz": np.zeros(48, np.int8)}  # fmt: skip
    nodes = [*pair("x", "xd"), *layer("xd", "c"), node("Cast", "c", "y", to=TensorProto.FLOAT)]
    model = typed_graph(nodes, grids)
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    result = found(trt, model, {"c"})
    texts = {f.rule: f.text for f in result.findings}
    assert texts["conversion"] == "half to float"
    assert texts["channels"] == "48 output channels fill 75% of their tiles"


def test_integer_depthwise_layers_are_noted(trt: ModuleType) -> None:
    grids = {**GRIDS, "w": np.ones((32, 1, 3, 3), np.int8)}
    model = typed_graph([*pair("x", "xd"), *layer("xd", "y", group=32)], grids)
    result = found(trt, model, {"y"})
    assert [f.layer for f in result.findings if f.rule == "depthwise"] == ["y"]
    assert found(trt, typed_graph(two_layers(), GRIDS), {"a", "y"}).counts()["depthwise"] == 0


def test_thresholds_decide_what_fails(trt: ModuleType) -> None:
    result = found(trt, typed_graph(two_layers(), GRIDS), {"a", "y"})
    assert result.counts()["float_output"] == 1
    assert result.excess({"float_output": 1}) == []
    assert result.excess({"float_output": 0}) == ["float_output"]
    faulty = found(trt, typed_graph(two_layers(), GRIDS), {"a"})
    assert faulty.excess() == ["unplanned"]
    assert faulty.excess({"unplanned": 1}) == []
