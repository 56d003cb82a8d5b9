import numpy as np
import onnx
import pytest
from small_graphs import graph, node

from edge_sdk.calibration.group_graph import GroupGraph
from edge_sdk.converters.layer_groups import layer_groups

WEIGHT = np.ones((1, 1, 1, 1))


@pytest.fixture(scope="module")
def residual() -> onnx.ModelProto:
    """a -> relu -> (b -> relu, skip) -> add -> c and d, whose concatenation is pooled for e."""
    nodes = [
        node("Conv", "x wa", "a"), node("Relu", "a", "ra"),
        node("Conv", "ra wb", "b"), node("Relu", "b", "rb"),
        node("Add", "ra rb", "sum"),
        node("Conv", "sum wc", "c"), node("Sigmoid", "c", "gate"), node("Mul", "c gate", "silu"),
        node("Conv", "sum wd", "d"),
        node("Concat", "silu d", "both", axis=1),
        node("MaxPool", "both", "pooled", kernel_shape=[1, 1]),
        node("Conv", "pooled we", "e"), node("Softmax", "e", "out"),
    ]  # fmt: skip
    for made in nodes:
        made.name = f"layer.{made.output[0]}"
    constants = {f"w{name}": WEIGHT for name in "abcd"} | {"we": np.ones((1, 2, 1, 1))}
    return graph(nodes, constants, ["out"])


def look(model: onnx.ModelProto) -> GroupGraph:
    return GroupGraph(model, layer_groups(model))


def test_neighbours_lie_across_the_nodes_between_layers(residual: onnx.ModelProto) -> None:
    assert look(residual).boundaries == (
        ("layer.a", "layer.b"),
        ("layer.b", "layer.c"),  # through relu and add; c and d are one group
        ("layer.c", "layer.e"),
    )


def test_a_tensor_that_another_group_reads_ends_the_way_back() -> None:
    """What the skip connection carries is converted where its own reader decides it."""
    nodes = [
        node("Conv", "x wa", "a"),
        node("Conv", "a wb", "b"),
        node("Add", "a b", "sum"),
        node("Conv", "sum wc", "c"),
    ]
    for made in nodes:
        made.name = made.output[0]
    model = graph(nodes, {f"w{name}": WEIGHT for name in "abc"}, ["c"])
    assert set(look(model).boundaries) == {("a", "b"), ("b", "c")}


@pytest.mark.parametrize(
    ("labels", "owners"),
    [
        (("layer.b",), ("layer.b",)),
        (("layer.rb",), ("layer.b",)),  # an activation runs with its layer
        (("layer.silu",), ("layer.c",)),
        (("layer.sum",), ("layer.c",)),  # integer work is done for the reader
        (("layer.both_token_7",), ("layer.e",)),
        (("ra.quantize",), ("layer.b", "layer.c")),
        (("wb.dequantize",), ("layer.b",)),
        (("layer.out",), ("layer.e",)),  # runs with the last layer
        (("layer.a/WithoutBiases", "layer.sum"), ("layer.a",)),  # a layer's name comes first
        (("Multiply_123", "layer.both"), ("layer.e",)),
        (("Reorder_5",), None),
        ((), None),
    ],
)
def test_kernels_belong_to_groups(
    residual: onnx.ModelProto, labels: tuple[str, ...], owners: tuple[str, ...] | None
) -> None:
    assert look(residual).owners(labels) == owners


def test_what_comes_behind_all_layers_belongs_to_none(residual: onnx.ModelProto) -> None:
    extended = onnx.ModelProto()
    extended.CopyFrom(residual)
    extended.graph.node.append(node("Transpose", "out", "turned"))
    extended.graph.node[-1].name = "layer.turned"
    assert look(extended).owners(["layer.turned"]) == ()
