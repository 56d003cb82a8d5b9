"""The numeric traps of the CPU's form, each with what goes wrong without the care."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from small_graphs import graph, layers_of, node, run_onnxruntime, run_openvino, table_of

from edge_sdk.converters.lowering.cpu import cpu_grid
from edge_sdk.converters.lowering.openvino import lower
from edge_sdk.errors import EdgeError
from edge_sdk.quantization_table import ActivationScale, QuantizationTable

ONE = np.ones((1, 1, 1, 1))


def relu_chain() -> onnx.ModelProto:
    return graph(
        [node("Conv", "x w1", "c1"), node("Relu", "c1", "r1"), node("Conv", "r1 w2", "y")],
        {"w1": ONE, "w2": ONE},
        ["y"],
    )


def constants(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def kinds(model: onnx.ModelProto) -> list[str]:
    return [n.op_type for n in model.graph.node]


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_what_the_table_clips_is_clipped(engine: str, tmp_path: Path) -> None:
    model = relu_chain()
    table = table_of(model, {"x": 10.0, "r1": 1.0})
    lowered = lower(model, table, layers_of(model))
    x = np.full((1, 1, 4, 4), 1.8)  # on 255 steps of the table's size it would come through
    run = (
        run_openvino(lowered, x, tmp_path) if engine == "openvino" else run_onnxruntime(lowered, x)
    )
    np.testing.assert_allclose(run[0], 1.0, rtol=0.01)


def test_a_range_gets_all_integers() -> None:
    entry = ActivationScale(1 / 127, False, "max")
    grid = cpu_grid(entry, 0.0)
    assert (grid.scale, grid.zero_point, grid.dtype) == (pytest.approx(1 / 255), 0, np.uint8)


def test_a_known_lower_bound_gives_its_integers_to_the_rest() -> None:
    grid = cpu_grid(ActivationScale(5 / 127, True, "max"), -0.2785)
    assert grid.scale == pytest.approx(5.2785 / 255)
    assert grid.zero_point == 13
    assert (255 - grid.zero_point) * grid.scale == pytest.approx(5, abs=grid.scale)


@pytest.mark.parametrize("bound", [-np.inf, -1.5])
def test_an_unknown_sign_keeps_the_grid_of_the_table(bound: float) -> None:
    grid = cpu_grid(ActivationScale(1 / 127, True, "max"), bound)
    assert (grid.scale, grid.zero_point) == (1 / 127, 128)


def concat_model(left: str, right: str) -> onnx.ModelProto:
    return graph(
        [
            node("Relu", "x", "relu"),
            node("Conv", "x w", "conv"),
            node("Sigmoid", "conv", "s"),
            node("Mul", "conv s", "silu"),
            node("Add", "silu silu", "sum"),
            node("Concat", f"{left} {right}", "cat", axis=1),
            node("Conv", "cat w2", "y"),
        ],
        {"w": ONE, "w2": np.array([0.0, 1.0]).reshape(1, 2, 1, 1)},
        ["y"],
    )


def shared_table(model: onnx.ModelProto, limit: float) -> QuantizationTable:
    """What calibration makes of a Concat whose members share a scale."""
    entry = ActivationScale(limit / 127, True, "max")
    table = table_of(model, {"x": 3.0})
    group = {name: entry for name in table.activations if name != "x"}
    return QuantizationTable("key", {**table.activations, **group}, table.weights)


def test_a_signed_member_of_a_group_keeps_its_sign() -> None:
    """Calibration may never have seen the convolution below zero: its sign is the graph's."""
    model = concat_model("relu", "conv")
    lowered = lower(model, shared_table(model, 1.0), layers_of(model))
    values = constants(lowered)
    assert {values[f"{name}.zero_point"].item() for name in ("conv", "cat")} == {128}
    (y,) = run_onnxruntime(lowered, np.full((1, 1, 4, 4), -0.5))
    np.testing.assert_allclose(y, -0.5, atol=0.01)


def test_a_signed_member_takes_no_bit_from_a_non_negative_one() -> None:
    model = concat_model("relu", "conv")
    values = constants(lower(model, shared_table(model, 1.0), layers_of(model)))
    assert values["relu.scale"] == pytest.approx(1 / 255)
    assert values["relu.zero_point"] == 0


def test_members_share_a_grid_where_that_is_cheap() -> None:
    model = concat_model("silu", "sum")
    values = constants(lower(model, shared_table(model, 10.0), layers_of(model)))
    assert len({values[f"{name}.scale"].item() for name in ("silu", "sum", "cat")}) == 1
    values = constants(lower(model, shared_table(model, 2.0), layers_of(model)))
    assert len({values[f"{name}.scale"].item() for name in ("silu", "sum", "cat")}) == 2


def alpha_model(alpha: float) -> onnx.ModelProto:
    return graph(
        [
            node("Conv", "x w", "c0"),
            node("Relu", "c0", "r"),
            node("Mul", "r alpha", "scaled"),
            node("Conv", "r w", "c1"),
            node("Relu", "c1", "r1"),
            node("Add", "scaled r1", "sum"),
            node("Conv", "sum w", "y"),
        ],
        {"w": ONE, "alpha": np.array([alpha])},
        ["y"],
    )


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_kept_alpha_goes_into_a_scale(engine: str, tmp_path: Path) -> None:
    model = alpha_model(0.3)
    lowered = lower(model, table_of(model, {"sum": 1.3}), layers_of(model))
    assert "Mul" not in kinds(lowered)
    quantized = [n.input[0] for n in lowered.graph.node if n.op_type == "QuantizeLinear"]
    assert quantized == ["x", "r", "r1", "sum"]  # each tensor once, the scaled one never
    x = np.linspace(-1, 1, 16).reshape(1, 1, 4, 4)
    run = (
        run_openvino(lowered, x, tmp_path) if engine == "openvino" else run_onnxruntime(lowered, x)
    )
    np.testing.assert_allclose(run[0], run_onnxruntime(model, x)[0], atol=0.02)


def test_a_negative_alpha_stays_a_multiplication() -> None:
    model = alpha_model(-0.3)
    table = table_of(model, {"sum": 1.3})
    lowered = lower(model, table, layers_of(model))
    assert "Mul" in kinds(lowered)
    x = np.linspace(-1, 1, 16).reshape(1, 1, 4, 4)
    np.testing.assert_allclose(
        run_onnxruntime(lowered, x)[0], run_onnxruntime(model, x)[0], atol=0.02
    )


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_the_bias_of_a_dead_channel_survives(engine: str, tmp_path: Path) -> None:
    weight = np.array([1.0, 1e-9]).reshape(2, 1, 1, 1)
    model = graph(
        [
            node("Conv", "x w b", "c"),
            node("Relu", "c", "r"),
            node("Conv", "r w2", "y"),
        ],
        {"w": weight, "b": np.array([0.0, 1.5]), "w2": np.eye(2).reshape(2, 2, 1, 1)},
        ["y"],
    )
    table = table_of(model, {"r": 2.0})
    lowered = lower(model, table, layers_of(model))
    x = np.full((1, 1, 4, 4), 0.5)
    run = (
        run_openvino(lowered, x, tmp_path) if engine == "openvino" else run_onnxruntime(lowered, x)
    )
    np.testing.assert_allclose(run[0][0, :, 0, 0], [0.5, 1.5], atol=0.02)


def test_a_float_layer_reads_the_tensor_as_it_was() -> None:
    model = graph(
        [
            node("Conv", "x w", "c"),
            node("Relu", "c", "r"),
            node("Conv", "r w", "a"),
            node("Conv", "r w", "b"),
        ],
        {"w": ONE},
        ["a", "b"],
    )
    lowered = lower(model, table_of(model, {}), frozenset({"a"}))
    reads = {n.output[0]: n.input[0] for n in lowered.graph.node}
    assert (reads["c"], reads["a"], reads["b"]) == ("x", "r.dq", "r")
    assert kinds(lowered).count("QuantizeLinear") == 1


def test_no_layers_leave_the_float_graph() -> None:
    model = relu_chain()
    assert kinds(lower(model, table_of(model, {}), frozenset())) == ["Conv", "Relu", "Conv"]


def test_nothing_stands_between_a_layer_and_its_activation() -> None:
    lowered = lower(relu_chain(), table_of(relu_chain(), {}), layers_of(relu_chain()))
    reads = {n.output[0]: n.input[0] for n in lowered.graph.node}
    assert reads["r1"] == "c1"
    assert reads["y"] == "r1.dq"
    onnx.checker.check_model(lowered)


def test_the_lowering_leaves_its_input_alone() -> None:
    model = relu_chain()
    before = model.SerializeToString()
    lower(model, table_of(model, {}), layers_of(model))
    assert model.SerializeToString() == before


def test_a_table_of_another_model_is_refused() -> None:
    model = relu_chain()
    table = table_of(model, {})
    del table.activations["r1"]
    with pytest.raises(EdgeError, match="no scale for the tensor 'r1'"):
        lower(model, table, layers_of(model))
    table = table_of(model, {})
    del table.weights["w2"]
    with pytest.raises(EdgeError, match="no scales for the weight 'w2'"):
        lower(model, table, layers_of(model))
