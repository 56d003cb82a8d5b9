"""Alpha folding: exact, harmless to what leaves the chain, kept where it would starve a concat."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from edge_sdk.converters.models.blocks import CSP, Bottleneck, ConvBNReLU
from edge_sdk.converters.passes.fold_alphas import fold_alphas
from edge_sdk.converters.passes.fuse_branches import fuse_branches
from edge_sdk.converters.prepare import export_graph, import_graph, prepare
from edge_sdk.converters.reference import run_float64


def chain(alphas: list[float], concat: bool, lively, path) -> onnx.ModelProto:
    """Return a CSP layer with these factors, fused but not folded."""
    torch.manual_seed(0)
    layer = CSP(
        3, 8, 6, [Bottleneck(ConvBNReLU(6, 6, 3), ConvBNReLU(6, 6, 3)) for _ in alphas], concat
    )
    lively(layer)
    with torch.no_grad():
        for bottleneck, alpha in zip(layer.bottlenecks, alphas, strict=True):
            bottleneck.alpha.fill_(alpha)
    torch.onnx.export(
        layer, torch.rand(1, 3, 16, 16), path, dynamo=False, opset_version=13,
        input_names=["x"], output_names=["y"],
    )  # fmt: skip
    model = prepare(onnx.load(path))
    graph = import_graph(model)
    fuse_branches(graph)
    return export_graph(graph, model)


def run(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """Return every tensor of the model on one image."""
    seen: dict[str, np.ndarray] = {}
    x = np.random.default_rng(0).uniform(size=(1, 3, 16, 16))
    run_float64(model, {"x": x}, seen.__setitem__)
    return seen


def fold(model: onnx.ModelProto):
    ranges = {name: float(np.abs(value).max()) for name, value in run(model).items()}
    graph = import_graph(model)
    report = fold_alphas(graph, ranges)
    return export_graph(graph, model), report, ranges


def concat_inputs(model: onnx.ModelProto) -> list[str]:
    return next(list(n.input) for n in model.graph.node if n.op_type == "Concat")


@pytest.fixture(autouse=True)
def _quiet():
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("alphas", [[0.3] * 5, [1.7, 0.3], [0.9]])
def test_a_chain_is_folded_exactly_and_its_end_is_untouched(alphas, lively, tmp_path) -> None:
    before = chain(alphas, False, lively, tmp_path / "chain.onnx")
    after, report, _ = fold(before)
    assert len(report.folded) == len(alphas)
    assert report.kept == ()
    assert "Mul" not in [node.op_type for node in after.graph.node]
    expected, found = run(before), run(after)
    np.testing.assert_allclose(found["y"], expected["y"], rtol=1e-11, atol=1e-11)
    # INT8 gives the concat's members one resolution: neither may shrink beside the other
    for old, new in zip(concat_inputs(before), concat_inputs(after), strict=True):
        np.testing.assert_allclose(found[new], expected[old], rtol=1e-11, atol=1e-11)


def test_a_chain_whose_members_would_drift_apart_is_kept(lively, tmp_path) -> None:
    before = chain([0.3] * 5, True, lively, tmp_path / "chain.onnx")
    after, report, _ = fold(before)
    assert report.folded == ()
    assert len(report.kept) == 5
    np.testing.assert_array_equal(run(after)["y"], run(before)["y"])


def test_a_concatenated_chain_near_one_is_folded(lively, tmp_path) -> None:
    before = chain([0.98, 1.01, 0.99], True, lively, tmp_path / "chain.onnx")
    after, report, ranges = fold(before)
    assert len(report.folded) == 3
    expected, found = run(before), run(after)
    np.testing.assert_allclose(found["y"], expected["y"], rtol=1e-11, atol=1e-11)
    after_ranges = [float(np.abs(found[name]).max()) for name in concat_inputs(after)]
    before_ranges = [ranges[name] for name in concat_inputs(before)]
    growth = (max(after_ranges) / min(after_ranges)) / (max(before_ranges) / min(before_ranges))
    assert growth < 1.25


@pytest.mark.parametrize("odd", [-0.5, 0.0])
@pytest.mark.parametrize("concat", [False, True])
def test_a_factor_that_is_not_positive_keeps_its_own_mul(odd, concat, lively, tmp_path) -> None:
    before = chain([0.97, odd, 1.03], concat, lively, tmp_path / "chain.onnx")
    after, report, _ = fold(before)
    assert len(report.folded) == 2
    assert len(report.kept) == 1
    assert [node.op_type for node in after.graph.node].count("Mul") == 1
    np.testing.assert_allclose(run(after)["y"], run(before)["y"], rtol=1e-11, atol=1e-11)


def test_nothing_is_folded_where_a_range_is_unknown(lively, tmp_path) -> None:
    model = chain([0.98, 1.01], True, lively, tmp_path / "chain.onnx")
    assert fold_alphas(import_graph(model), {}).folded == ()


class Tail(nn.Module):
    """A chain whose first member something else reads that cannot be rescaled."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = ConvBNReLU(3, 6)
        self.link = Bottleneck(ConvBNReLU(6, 6, 3), ConvBNReLU(6, 6, 3))

    def forward(self, x):
        first = self.conv(x)
        return self.link(first) + torch.sigmoid(first)


def test_a_chain_with_a_reader_that_cannot_be_rescaled_is_kept(lively, tmp_path) -> None:
    module = lively(Tail())
    torch.onnx.export(
        module, torch.rand(1, 3, 16, 16), tmp_path / "tail.onnx", dynamo=False,
        input_names=["x"], output_names=["y"],
    )  # fmt: skip
    model = prepare(onnx.load(tmp_path / "tail.onnx"))
    graph = import_graph(model)
    fuse_branches(graph)
    assert len(fold_alphas(graph, {}).kept) == 1
