from collections import Counter
from itertools import product

import numpy as np
import onnx
import pytest
from small_graphs import graph, node, run_onnxruntime, table_of

from edge_sdk.converters.layer_groups import layer_groups
from edge_sdk.converters.lowering import lowering
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


@pytest.mark.parametrize("target", ["openvino", "onnxruntime"])
def test_chains_and_concats_may_be_mixed(target: str) -> None:
    """A residual link, a pooling and a Concat: every mixture converts each tensor once at most."""
    rng = np.random.default_rng(0)
    mixed = graph(
        [
            node("Conv", "x w", "a"),
            node("Relu", "a", "ra"),
            node("Conv", "ra w", "b"),
            node("Relu", "b", "rb"),
            node("Add", "ra rb", "sum"),
            node("MaxPool", "sum", "pool", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
            node("Concat", "sum pool rb", "joined", axis=1),
            node("Conv", "sum w", "c"),
            node("Conv", "joined wide", "d"),
        ],
        {"w": rng.normal(0, 0.5, (2, 2, 1, 1)), "wide": rng.normal(0, 0.5, (2, 6, 1, 1))},
        ["c", "d"],
        shape=(1, 2, 4, 4),
    )
    groups = layer_groups(mixed)
    assert [group.name for group in groups] == ["a", "b", "c", "d"]
    x = rng.uniform(-1, 1, (1, 2, 4, 4))
    table = table_of(mixed, {"ra": 2.0, "rb": 2.0, "sum": 3.0, "pool": 3.0, "joined": 3.0})
    expected = run_onnxruntime(mixed, x)
    for choice in product([False, True], repeat=4):
        layers = frozenset(g.name for g, chosen in zip(groups, choice, strict=True) if chosen)
        lowered = lowering(target)(mixed, table, layers)
        quantized = Counter(n.input[0] for n in lowered.graph.node if n.op_type == "QuantizeLinear")
        assert max(quantized.values(), default=0) <= 1
        for ours, exact in zip(run_onnxruntime(lowered, x), expected, strict=True):
            np.testing.assert_allclose(ours, exact, atol=0.06)
