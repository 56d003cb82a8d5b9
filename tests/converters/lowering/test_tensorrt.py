"""TensorRT's form, executed in ONNX Runtime without optimizations where numbers matter."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from small_graphs import graph, layers_of, node, table_of
from tiny import tiny_spec

from edge_sdk.converters.lowering import grid, lowering, simulation
from edge_sdk.converters.lowering.qdq import insert
from edge_sdk.converters.lowering.tensorrt import LAYERS_KEY, TensorrtForm, lower
from edge_sdk.converters.model_file import load_model, metadata
from edge_sdk.converters.reference import run_float32
from edge_sdk.errors import EdgeError

ONE = np.ones((1, 1, 1, 1))


def bottleneck(alpha: float = 0.5) -> onnx.ModelProto:
    """relu(conv), then `alpha x + relu(conv(relu(conv(x))))`, then a layer that reads it."""
    return graph(
        [
            node("Conv", "x w", "c0"), node("Relu", "c0", "r0"),
            node("Mul", "r0 alpha", "skip"),
            node("Conv", "r0 w", "c1"), node("Relu", "c1", "r1"),
            node("Conv", "r1 w", "c2"), node("Relu", "c2", "r2"),
            node("Add", "skip r2", "sum"),
            node("Conv", "sum w", "y"),
        ],
        {"w": ONE, "alpha": np.array([alpha])},
        ["y"],
    )  # fmt: skip


def quantized(
    model: onnx.ModelProto, layers: frozenset[str] | None = None, **options: object
) -> onnx.ModelProto:
    """Q/DQ as they are inserted, before types change."""
    form = TensorrtForm(model, table_of(model, {"sum": 2.0}), **options)  # type: ignore[arg-type]
    return insert(model, form.quantization(layers_of(model) if layers is None else layers))


def reads(model: onnx.ModelProto) -> dict[str, list[str]]:
    return {n.output[0]: list(n.input) for n in model.graph.node}


def quantize_nodes(model: onnx.ModelProto) -> list[str]:
    return [n.input[0] for n in model.graph.node if n.op_type == "QuantizeLinear"]


def test_grids_are_symmetric_int8_with_zero_point_0() -> None:
    model = quantized(bottleneck())
    points = [t for t in model.graph.initializer if t.name.endswith(".zero_point")]
    assert points
    for point in points:
        assert point.data_type == TensorProto.INT8
        assert not numpy_helper.to_array(point).any()


def test_the_add_reads_the_integers_of_the_skip_only() -> None:
    model = quantized(bottleneck(), skip="skip")
    assert reads(model)["sum"] == ["skip.dq", "r2"]
    assert quantize_nodes(model) == ["x", "r0", "r1", "sum"]


def test_the_add_reads_the_integers_of_both_operands() -> None:
    model = quantized(bottleneck(), skip="both")
    assert reads(model)["sum"] == ["skip.dq", "r2.dq"]
    assert quantize_nodes(model) == ["x", "r0", "r1", "r2", "sum"]


@pytest.mark.parametrize("skip", ["skip", "both"])
@pytest.mark.parametrize("alpha", [0.3, -0.3])
def test_alpha_goes_into_a_scale_where_it_is_positive(skip: str, alpha: float) -> None:
    model = bottleneck(alpha)
    lowered = quantized(model, skip=skip)
    assert ("Mul" in {n.op_type for n in lowered.graph.node}) == (alpha < 0)
    x = np.linspace(-1, 1, 16, dtype=np.float32).reshape(1, 1, 4, 4)
    exact, found = (run_float32(m, {"x": x})["y"] for m in (model, lowered))
    np.testing.assert_allclose(found, exact, atol=0.03)


def test_what_no_integer_layer_reads_stays_float() -> None:
    """With the bottleneck's first layer float, its input has no integers for the Add."""
    lowered = quantized(bottleneck(), frozenset({"y"}))
    assert reads(lowered)["sum"] == ["skip", "r2"]
    assert "Mul" in {n.op_type for n in lowered.graph.node}
    assert quantize_nodes(lowered) == ["sum"]


def test_a_concat_is_quantized_once_behind() -> None:
    """TensorRT moves the Q in front of it; a pair more on a member would round twice."""
    model = graph(
        [
            node("Conv", "x w", "a"), node("Conv", "x w", "b"),
            node("Concat", "a b", "cat", axis=1),
            node("Conv", "cat w2", "y"), node("Conv", "a w", "z"),
        ],
        {"w": ONE, "w2": np.ones((1, 2, 1, 1))},
        ["y", "z"],
    )  # fmt: skip
    lowered = quantized(model)
    assert reads(lowered)["cat"] == ["a.dq", "b"]
    assert quantize_nodes(lowered) == ["x", "a", "cat"]


def test_a_pooling_that_averages_reads_no_integers() -> None:
    model = graph(
        [
            node("Conv", "x w", "c"), node("Conv", "c w", "d"),
            node("GlobalAveragePool", "c", "mean"), node("Conv", "mean w", "y"),
        ],
        {"w": ONE},
        ["y", "d"],
    )  # fmt: skip
    assert reads(quantized(model))["mean"] == ["c"]


def test_weights_of_transposed_convolutions_are_scaled_along_axis_1() -> None:
    model = graph([node("ConvTranspose", "x w", "y")], {"w": np.ones((1, 3, 3, 3))}, ["y"])
    (dequantize,) = (n for n in quantized(model).graph.node if n.output[0] == "w.dq")
    assert next(a.i for a in dequantize.attribute if a.name == "axis") == 1


def test_scales_are_float16_numbers_that_are_no_zero() -> None:
    weight = np.array([1.0, 1e-12, 1 / 3]).reshape(3, 1, 1, 1)
    model = graph([node("Conv", "x w", "y")], {"w": weight}, ["y"])
    form = TensorrtForm(model, table_of(model, {"x": 1 / 3}))
    for scales in (form.weights["w"].scales, np.array([form.activations["x"].scale], np.float32)):
        assert (scales > 0).all()
        np.testing.assert_array_equal(scales, scales.astype(np.float16))


@pytest.fixture
def tiny(tiny_model: object) -> onnx.ModelProto:
    return load_model(tiny_model)  # type: ignore[arg-type]


def lowered_tiny(model: onnx.ModelProto, **options: object) -> onnx.ModelProto:
    made = lower(model, table_of(model, {}), layers_of(model), **options)  # type: ignore[arg-type]
    onnx.checker.check_model(made, full_check=True)
    return made


def named(model: onnx.ModelProto) -> onnx.ModelProto:
    for n in model.graph.node:
        n.name = n.output[0]
    return model


def test_bytes_go_in_and_candidates_come_out(tiny: onnx.ModelProto) -> None:
    lowered = lowered_tiny(named(tiny))
    (image,) = lowered.graph.input
    assert image.type.tensor_type.elem_type == TensorProto.UINT8
    assert [v.name for v in lowered.graph.output] == [
        "candidate_boxes", "candidate_scores", "candidate_labels",
    ]  # fmt: skip
    assert set(json.loads(metadata(lowered)[LAYERS_KEY])) == layers_of(tiny)


def test_every_layer_of_the_plan_reads_integers_and_all_features_are_float16(
    tiny: onnx.ModelProto,
) -> None:
    lowered = lowered_tiny(named(tiny), candidates=None)
    made = {name: n for n in lowered.graph.node for name in n.output}
    layers = [n for n in lowered.graph.node if n.op_type == "Conv"]
    assert len(layers) == len(layers_of(tiny))
    for layer in layers:
        assert [made[name].op_type for name in layer.input[:2]] == ["DequantizeLinear"] * 2
    assert [n.op_type for n in lowered.graph.node].count("Cast") == 1  # the bytes
    inferred = onnx.shape_inference.infer_shapes(lowered, strict_mode=True)
    kinds = {v.type.tensor_type.elem_type for v in inferred.graph.value_info}
    assert kinds == {TensorProto.FLOAT16, TensorProto.INT8}


def test_float_layers_are_float16(tiny: onnx.ModelProto) -> None:
    model = named(tiny)
    made = lower(model, table_of(model, {}), frozenset(), candidates=None)
    x = np.random.default_rng(0).integers(0, 256, (1, 3, *tiny_spec().input_size), np.uint8)
    exact = run_float32(model, {"images": x.astype(np.float32) / 255})
    found = run_float32(made, {"images": x})
    for name, value in exact.items():
        assert found[name].dtype == np.float16
        np.testing.assert_allclose(found[name], value, atol=0.01 * np.abs(value).max())


def test_seven_bit_weights_are_not_for_gpus(tiny: onnx.ModelProto) -> None:
    with pytest.raises(EdgeError, match="7-bit weights are for x86"):
        lowered_tiny(named(tiny), seven_bit_weights=True)


def test_the_simulation_has_the_same_integers(tiny: onnx.ModelProto) -> None:
    model = named(tiny)
    table, layers = table_of(model, {}), layers_of(model)
    simulated, engine = simulation("tensorrt-rtx:sm75")
    assert engine == "onnxruntime"
    lowered = lowered_tiny(model, candidates=None)
    x = np.random.default_rng(0).integers(0, 256, (1, 3, *tiny_spec().input_size), np.uint8)
    image = (x * np.float16(1 / 255)).astype(np.float32)
    typed = run_float32(lowered, {"images": x})
    plain = run_float32(simulated(model, table, layers), {"images": image})
    for name, value in plain.items():
        error = np.abs(typed[name].astype(np.float32) - value)
        assert np.quantile(error, 0.99) < 0.01 * np.abs(value).max()


def test_targets_of_the_cpu_need_no_simulation() -> None:
    assert simulation("openvino") == (lowering("openvino"), "openvino")
    assert grid("openvino") != grid("tensorrt:remote") == grid("tensorrt-rtx:sm75")
