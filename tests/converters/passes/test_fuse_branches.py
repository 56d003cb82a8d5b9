"""Fusion of ONNX graphs, against torch, for graphs of our own and of torch's exporter."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
import torch
from onnx import helper
from torch import nn

from edge_sdk.converters.models.blocks import VARIANTS, RepBlock
from edge_sdk.converters.passes.fuse_branches import fuse_branches
from edge_sdk.converters.prepare import export_graph, import_graph, prepare
from edge_sdk.converters.reference import run_float64


def exported(module: nn.Module, channels: int, path) -> onnx.ModelProto:
    """Return what torch's exporter makes of a module if it is told to fold nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, torch.randn(1, channels, 32, 32), path, dynamo=False, opset_version=13,
            input_names=["x"], output_names=["y"], do_constant_folding=False,
            training=torch.onnx.TrainingMode.PRESERVE,
        )  # fmt: skip
    return prepare(onnx.load(path))


def fused(model: onnx.ModelProto):
    graph = import_graph(model)
    blocks = fuse_branches(graph)
    return export_graph(graph, model), blocks


class Stack(nn.Module):
    """Two variants of a block behind a convolution that brings three planes to eight."""

    def __init__(self, variant: str, groups: int) -> None:
        super().__init__()
        branches = VARIANTS[variant]
        self.stem = nn.Conv2d(3, 8, 1)
        self.first = RepBlock(8, 8, groups=groups, identity=True, branches=branches)
        self.second = RepBlock(8, 8, 2, groups=groups, branches=branches)

    def forward(self, x):
        return self.second(self.first(self.stem(x)))


@pytest.mark.parametrize(("variant", "groups"), list(itertools.product(VARIANTS, (1, 4, 8))))
def test_every_variant_becomes_one_convolution(variant: str, groups: int, lively, tmp_path) -> None:
    stack = lively(Stack(variant, groups))
    before = exported(stack, 3, tmp_path / "stack.onnx")
    assert sum(node.op_type == "BatchNormalization" for node in before.graph.node) >= 2
    after, blocks = fused(before)
    assert [node.op_type for node in after.graph.node] == ["Conv", "Conv", "Relu", "Conv", "Relu"]
    assert [block.layer for block in blocks] == ["first", "second"]
    x = np.random.default_rng(0).normal(size=(2, 3, 16, 16))
    expected = run_float64(before, {"x": x})["y"]
    with torch.inference_mode():
        reference = stack.double()(torch.from_numpy(x)).numpy()
    # torch's exporter rounds epsilon to float32
    np.testing.assert_allclose(expected, reference, rtol=1e-9, atol=1e-9)
    found = run_float64(after, {"x": x})["y"]
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)


def test_the_weights_are_named_after_the_layer(lively, tmp_path) -> None:
    after, _ = fused(exported(lively(Stack("qarepvgg", 1)), 3, tmp_path / "stack.onnx"))
    names = {tensor.name for tensor in after.graph.initializer}
    assert names == {
        "stem.weight", "stem.bias", "first.weight", "first.bias", "second.weight", "second.bias",
    }  # fmt: skip


class Shared(nn.Module):
    """A sum that is read twice, and one whose convolutions read different tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(3, 3, 3, padding=1)
        self.two = nn.Conv2d(3, 3, 1)
        self.bn = nn.BatchNorm2d(3)

    def forward(self, x):
        both = self.one(x) + self.two(x)
        return torch.relu(self.bn(both)) + self.two(torch.sigmoid(both)) + both


def test_a_tensor_that_others_read_stays(lively, tmp_path) -> None:
    module = lively(Shared())
    before = exported(module, 3, tmp_path / "shared.onnx")
    after, blocks = fused(before)
    assert len(blocks) == 1
    assert "BatchNormalization" in [node.op_type for node in after.graph.node]
    x = np.random.default_rng(0).normal(size=(1, 3, 8, 8))
    found = run_float64(after, {"x": x})["y"]
    np.testing.assert_allclose(found, run_float64(before, {"x": x})["y"], atol=1e-12)


def test_padding_off_the_centre_is_not_added() -> None:
    generator = np.random.default_rng(0)
    x, y = gs.Variable("x", np.float32, [1, 2, 8, 8]), gs.Variable("y", np.float32)
    sides = [gs.Variable(f"side{i}", np.float32) for i in range(2)]
    weights = [gs.Constant(f"w{i}", generator.normal(size=(2, 2, k, k)).astype(np.float32))
               for i, k in enumerate((3, 1))]  # fmt: skip
    nodes = [
        gs.Node("Conv", "wide", {"pads": [0, 0, 2, 2]}, [x, weights[0]], [sides[0]]),
        gs.Node("Conv", "narrow", {}, [x, weights[1]], [sides[1]]),
        gs.Node("Add", "sum", {}, sides, [y]),
    ]
    graph = gs.Graph(nodes, [x], [y], opset=19)
    assert fuse_branches(graph) == []
    assert len(graph.nodes) == 3


def test_weights_that_layers_share_are_told_apart() -> None:
    weight = helper.make_tensor("w", onnx.TensorProto.FLOAT, [3, 3, 1, 1], np.eye(3).ravel())
    image = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 3, 32, 32])
    result = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 3, 32, 32])
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["h"]),
        helper.make_node("Conv", ["h", "w"], ["y"]),
    ]
    graph = helper.make_graph(nodes, "twice", [image], [result], [weight])
    model = prepare(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)]))
    assert len({node.name for node in model.graph.node}) == 2
    assert len({node.input[1] for node in model.graph.node}) == 2
