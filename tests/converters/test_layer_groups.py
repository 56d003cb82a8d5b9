import numpy as np
import onnx
import pytest
from small_graphs import graph, node

from edge_sdk.converters.layer_groups import layer_groups
from edge_sdk.errors import EdgeError


def model() -> onnx.ModelProto:
    w = np.ones((2, 2, 1, 1))
    return graph(
        [
            node("Conv", "x w", "stem"),
            node("Conv", "stem w", "head.a"),
            node("Conv", "stem w", "head.b"),
            node("ConvTranspose", "head.b up", "last", kernel_shape=[2, 2], strides=[2, 2]),
        ],
        {"w": w, "up": np.ones((2, 3, 2, 2))},
        ["head.a", "last"],
        shape=(1, 2, 4, 6),
    )


def test_layers_on_one_tensor_go_together() -> None:
    groups = layer_groups(model())
    assert [group.layers for group in groups] == [("stem",), ("head.a", "head.b"), ("last",)]
    assert [group.name for group in groups] == ["stem", "head.a", "last"]
    assert [group.macs for group in groups] == [4 * 24, 2 * 4 * 24, 2 * 3 * 4 * 24]
    assert {group.precision for group in groups} == {"int8"}


def test_a_pattern_keeps_whole_groups_float() -> None:
    groups = layer_groups(model(), keep_float=["*.b"])
    assert [group.precision for group in groups] == ["int8", "float", "int8"]
    assert groups[1].why == "kept by '*.b'"


def test_a_pattern_that_fits_nothing_is_named() -> None:
    with pytest.raises(EdgeError, match=r"No layer is called 'backbone\*'"):
        layer_groups(model(), keep_float=["backbone*"])


def test_layers_need_names_of_their_own() -> None:
    twice = model()
    twice.graph.node[1].name = "stem"
    with pytest.raises(EdgeError, match="2 layers of the model are called 'stem'"):
        layer_groups(twice)
