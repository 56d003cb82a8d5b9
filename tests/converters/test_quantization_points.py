import math

import numpy as np
import onnx
import pytest
from small_graphs import graph, node

from edge_sdk.converters.quantization_points import quantization_points
from edge_sdk.head_spec import METADATA_KEY, HeadSpec

W = np.ones((1, 1, 1, 1))


def test_points_are_what_layers_read_and_nothing_between_a_layer_and_its_activation() -> None:
    model = graph(
        [
            node("Conv", "x w1", "c1"),
            node("Relu", "c1", "r1"),
            node("Conv", "r1 w2", "c2"),
            node("Sigmoid", "c2", "s2"),
            node("Mul", "c2 s2", "m2"),
            node("Conv", "m2 w3", "out"),
            node("Sigmoid", "out", "score"),
        ],
        {"w1": W, "w2": W, "w3": W},
        ["score"],
    )
    points = quantization_points(model)
    assert points.activations == {"x": True, "r1": False, "m2": True}
    assert points.weights == {"w1": 0, "w2": 0, "w3": 0}
    assert points.lower_bounds["m2"] == pytest.approx(-0.27846, abs=1e-4)
    assert points.lower_bounds["x"] == -math.inf


def test_pixels_are_not_negative_where_the_model_says_that_it_takes_pixels() -> None:
    model = graph([node("Conv", "x w", "y")], {"w": W}, ["y"])
    spec = HeadSpec("yolox", "grid", ("a",), "x", (32, 32), {"predictions": ("y",)})
    onnx.helper.set_model_props(model, {METADATA_KEY: spec.to_json()})
    assert quantization_points(model).activations == {"x": False}


def test_one_signed_member_makes_a_group_signed() -> None:
    model = graph(
        [
            node("Relu", "x", "r"),
            node("Conv", "x w", "c"),
            node("Concat", "r c", "cat", axis=1),
            node("MaxPool", "cat", "pool", kernel_shape=[1, 1]),
            node("Conv", "pool w2", "y"),
        ],
        {"w": W, "w2": np.ones((1, 2, 1, 1))},
        ["y"],
    )
    points = quantization_points(model)
    assert points.activations == {"x": True, "r": False, "c": True, "cat": True, "pool": True}
    assert points.scale_groups == [("cat", "pool")]


@pytest.mark.parametrize(
    ("nodes", "bound"),
    [
        ([node("Relu", "x", "t")], 0.0),
        ([node("Clip", "x least", "t")], -0.5),
        ([node("Relu", "x", "r"), node("Add", "r r", "t")], 0.0),
        ([node("Sigmoid", "x", "s"), node("Mul", "x s", "m"), node("Add", "m m", "t")], -0.557),
        ([node("Sigmoid", "x", "s"), node("Add", "s x", "t")], -math.inf),
        ([node("HardSwish", "x", "t")], -0.375),
        ([node("Relu", "x", "r"), node("AveragePool", "r", "t", kernel_shape=[2, 2])], 0.0),
        ([node("LeakyRelu", "x", "t")], -math.inf),
    ],
)
def test_the_bound_comes_from_the_graph(nodes: list[onnx.NodeProto], bound: float) -> None:
    model = graph([*nodes, node("Conv", "t w", "y")], {"w": W, "least": np.array(-0.5)}, ["y"])
    points = quantization_points(model)
    assert points.lower_bounds["t"] == pytest.approx(bound, abs=1e-3)
    assert points.activations["t"] == (bound < 0)


def test_a_kept_alpha_is_no_point_of_its_own() -> None:
    model = graph(
        [
            node("Relu", "x", "r"),
            node("Mul", "r alpha", "scaled"),
            node("Conv", "r w", "c"),
            node("Add", "scaled c", "sum"),
            node("Conv", "sum w", "y"),
        ],
        {"w": W, "alpha": np.array([0.3])},
        ["y"],
    )
    assert set(quantization_points(model).activations) == {"r", "c", "sum"}


def test_the_expectation_of_a_distribution_is_no_layer() -> None:
    model = graph(
        [
            node("Conv", "x w", "c"),
            node("Softmax", "c", "p", axis=1),
            node("Transpose", "p", "t", perm=[0, 1, 3, 2]),
            node("Conv", "t bins", "y"),
        ],
        {"w": np.ones((4, 1, 1, 1)), "bins": np.arange(4).reshape(1, 4, 1, 1)},
        ["y"],
    )
    points = quantization_points(model)
    assert points.weights == {"w": 0}
    assert set(points.activations) == {"x"}


def test_shapes_computed_in_the_graph_are_no_points() -> None:
    model = graph(
        [
            node("Shape", "x", "shape", end=2),
            node("Concat", "shape size", "sizes", axis=0),
            node("Relu", "x", "r"),
            helper_resize(),
            node("Conv", "big w", "y"),
        ],
        {"w": W, "size": np.array([8, 8], np.int64)},
        ["y"],
    )
    points = quantization_points(model)
    assert set(points.activations) == {"r", "big"}
    assert points.scale_groups == [("r", "big")]


def helper_resize() -> onnx.NodeProto:
    return onnx.helper.make_node(
        "Resize", ["r", "", "", "sizes"], ["big"], "big", mode="nearest", nearest_mode="floor"
    )
