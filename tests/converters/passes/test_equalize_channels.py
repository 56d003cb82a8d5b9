"""What moves into the layers around a tensor, and where nothing may."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from small_graphs import graph, layers_of, node, table_of

from edge_sdk.converters.lowering import lowering, simulation
from edge_sdk.converters.passes.equalize_channels import equalized, links
from edge_sdk.converters.reference import run_float32
from edge_sdk.errors import EdgeError

RNG = np.random.default_rng(0)


def relu_model() -> onnx.ModelProto:
    """A chain of all kinds of layers that can take factors, one tensor with two readers."""
    shapes = {
        "a": (6, 3, 3, 3), "up": (6, 4, 2, 2), "depth": (4, 1, 3, 3), "left": (5, 4, 1, 1),
        "right": (2, 4, 3, 3),
    }  # fmt: skip
    constants = {f"{name}.w": RNG.normal(size=shape) for name, shape in shapes.items()}
    constants |= {f"{name}.b": RNG.normal(size=size) for name, size in (("a", 6), ("up", 4))}
    return graph(
        [
            node("Conv", "x a.w a.b", "a", pads=[1] * 4),
            node("Relu", "a", "a.y"),
            node("ConvTranspose", "a.y up.w up.b", "up", strides=[2, 2]),
            node("Conv", "up depth.w", "depth", group=4, pads=[1] * 4),
            node("LeakyRelu", "depth", "depth.y", alpha=0.1),
            node("Conv", "depth.y left.w", "left"),
            node("Conv", "depth.y right.w", "right", pads=[1] * 4),
        ],
        constants,
        ["left", "right"],
        (1, 3, 8, 8),
    )


FACTORS = {
    "a.y": np.geomspace(0.1, 20, 6).astype(np.float32),
    "up": np.geomspace(9, 0.2, 4).astype(np.float32),
    "depth.y": np.geomspace(0.3, 5, 4).astype(np.float32),
}


def image() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(1, 3, 8, 8)).astype(np.float32)


def test_the_network_computes_what_it_did_and_the_channels_have_other_ranges() -> None:
    model = relu_model()
    assert links(model).keys() == FACTORS.keys()
    made, table = equalized(model, replace(table_of(model, {}), factors=FACTORS))
    assert table.factors == {}
    outputs = ("left", "right")
    before, after = (run_float32(one, {"x": image()}, outputs) for one in (model, made))
    for name in outputs:
        np.testing.assert_allclose(after[name], before[name], rtol=1e-4, atol=1e-4)
    inner = [
        (one, run_float32(exposed(one), {"x": image()}, list(FACTORS))) for one in (model, made)
    ]
    for name, factors in FACTORS.items():
        shape = (1, -1, 1, 1)
        np.testing.assert_allclose(
            inner[1][1][name] * factors.reshape(shape), inner[0][1][name], rtol=1e-4, atol=1e-4
        )


def exposed(model: onnx.ModelProto) -> onnx.ModelProto:
    made = onnx.ModelProto()
    made.CopyFrom(model)
    made.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in FACTORS
    )
    return made


def other(change: str) -> onnx.ModelProto:
    """The model with something around "a.y" that forbids factors there."""
    model = relu_model()
    nodes, g = {n.output[0]: n for n in model.graph.node}, model.graph
    if change == "SiLU":
        nodes["a.y"].op_type = "Sigmoid"
        nodes["a.y"].output[0] = "a.s"
        g.node.insert(2, node("Mul", "a a.s", "a.y"))
    elif change == "another reader":
        g.node.append(node("Abs", "a.y", "z"))
    elif change == "an output":
        g.output.append(onnx.helper.make_tensor_value_info("a.y", onnx.TensorProto.FLOAT, None))
    elif change == "the layer's output is read too":
        g.node.append(node("Abs", "a", "z"))
    elif change == "a shared bias":
        g.node.append(node("Abs", "a.b", "z"))
    return model


@pytest.mark.parametrize(
    "change",
    ["SiLU", "another reader", "an output", "the layer's output is read too", "a shared bias"],
)
def test_where_factors_would_show_nothing_moves(change: str) -> None:
    model = other(change)
    assert "a.y" not in links(model)
    table = replace(table_of(relu_model(), {}), factors=FACTORS)
    with pytest.raises(EdgeError, match=r"channels of 'a\.y', which this model cannot take"):
        equalized(model, table)


def test_every_target_takes_the_factors() -> None:
    model = relu_model()
    table = replace(table_of(model, {"a.y": 9.0, "up": 40.0, "depth.y": 90.0}), factors=FACTORS)
    same = equalized(model, table)
    for lower in (lowering("openvino"), lowering("onnxruntime"), simulation("tensorrt")[0]):
        assert lower(model, table, layers_of(model)) == lower(*same, layers_of(model))
