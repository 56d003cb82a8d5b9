import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from small_graphs import graph, node

from edge_sdk.converters.graph_index import GraphIndex
from edge_sdk.converters.passes.half_precision import half_precision
from edge_sdk.converters.quantization_points import leading_nodes
from edge_sdk.converters.reference import run_float32
from edge_sdk.errors import EdgeError

ONE = np.ones((1, 1, 1, 1))
SCALES = np.array([1.0, 1, 2, 2])


def resize(source: str, scales: str, output: str) -> onnx.NodeProto:
    return onnx.helper.make_node("Resize", [source, "", scales], [output], output, mode="nearest")


def detector(**constants: np.ndarray) -> onnx.ModelProto:
    """Two layers, an upsampling, and a decoder with a product that two nodes behind it read."""
    return graph(
        [
            node("Conv", "x w", "c"),
            resize("c", "scales", "up"),
            node("Conv", "up w b", "p"),
            node("Mul", "p stride", "scaled"),
            node("Add", "scaled p", "y"),
            node("MatMul", "scaled matrix", "z"),
        ],
        {"w": ONE, "b": np.zeros(1), "scales": SCALES, "stride": np.array([8.0]),
         "matrix": np.eye(8), **constants},
        ["y", "z"],
    )  # fmt: skip


def halved(model: onnx.ModelProto) -> onnx.ModelProto:
    mixed = half_precision(model, leading_nodes(GraphIndex(model.graph)))
    onnx.checker.check_model(mixed, full_check=True)
    return mixed


def test_features_are_float16_and_the_decoder_is_float32() -> None:
    mixed = halved(detector())
    kinds = {n.output[0]: n.op_type for n in mixed.graph.node}
    assert {name for name, kind in kinds.items() if kind == "Cast"} == {"p.float", "scaled.half"}
    types = {t.name: t.data_type for t in mixed.graph.initializer}
    assert types["w.half"] == TensorProto.FLOAT16
    assert types["stride"] == TensorProto.FLOAT
    outputs = {v.name: v.type.tensor_type.elem_type for v in mixed.graph.output}
    assert outputs == {"y": TensorProto.FLOAT, "z": TensorProto.FLOAT16}
    assert mixed.graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT16


def test_a_tensor_that_crosses_is_cast_once() -> None:
    casts = [n.input[0] for n in halved(detector()).graph.node if n.op_type == "Cast"]
    assert sorted(casts) == ["p", "scaled"]  # two nodes read p in float32


def test_products_are_never_float32() -> None:
    mixed = halved(detector())
    (product,) = (n for n in mixed.graph.node if n.op_type == "MatMul")
    assert list(product.input) == ["scaled.half", "matrix.half"]


def test_the_scales_of_a_resize_stay_float32() -> None:
    mixed = halved(detector())
    values = {t.name: numpy_helper.to_array(t) for t in mixed.graph.initializer}
    (resize,) = (n for n in mixed.graph.node if n.op_type == "Resize")
    assert values[resize.input[2]].dtype == np.float32


def test_values_agree_to_half_a_step_of_float16() -> None:
    x = np.random.default_rng(0).normal(size=(1, 1, 4, 4))
    exact = run_float32(detector(), {"x": x.astype(np.float32)})
    mixed = run_float32(halved(detector()), {"x": x.astype(np.float16)})
    for name, value in exact.items():
        np.testing.assert_allclose(mixed[name], value, rtol=2e-3)


def test_a_weight_beyond_float16_is_refused() -> None:
    with pytest.raises(EdgeError, match=r"constant b has values beyond 65504"):
        halved(detector(b=np.array([1e5])))
