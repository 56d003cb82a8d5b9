"""The float64 evaluator against torch and ONNX Runtime."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
import torch
from torch.nn import functional

from edge_sdk.converters.affine import Affine
from edge_sdk.converters.export import export
from edge_sdk.converters.model_file import head_spec_of
from edge_sdk.converters.reference import convolve, run_float32, run_float64
from edge_sdk.errors import EdgeError


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize(("strides", "dilations"), [((1, 1), (1, 1)), ((2, 1), (1, 2))])
def test_convolution(groups: int, strides, dilations) -> None:
    generator = np.random.default_rng(0)
    conv = Affine(
        generator.normal(size=(8, 4 // groups, 3, 5)), generator.normal(size=8), groups,
        strides, dilations, (1, 2, 1, 2),
    )  # fmt: skip
    x = generator.normal(size=(2, 4, 9, 12))
    expected = functional.conv2d(
        torch.from_numpy(x), torch.from_numpy(conv.kernel), torch.from_numpy(conv.bias),
        strides, (1, 2), dilations, groups,
    )  # fmt: skip
    np.testing.assert_allclose(convolve(x, conv), expected.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("block", ["qarepvgg", "repvgg", "yolov6_qarep_v2"])
def test_a_network_exported_with_its_branches(tiny, block: str) -> None:
    """Export and evaluator together: the unfused graph is the torch network, digit by digit."""
    model = tiny(block=block)
    graph = export(model, input_size=(64, 96))
    kinds = [node.op_type for node in graph.graph.node]
    assert "BatchNormalization" in kinds
    assert ("AveragePool" in kinds) == (block == "yolov6_qarep_v2")
    image = np.random.default_rng(0).uniform(size=(1, 3, 64, 96)).astype(np.float32)
    with torch.inference_mode():
        expected = [y.numpy() for y in chain(*model.double()(torch.from_numpy(image).double()))]
    names = head_spec_of(graph).output_names
    exact, quick = run_float64(graph, {"images": image}), run_float32(graph, {"images": image})
    for name, reference in zip(names, expected, strict=True):
        np.testing.assert_allclose(exact[name], reference, rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(quick[name], reference, rtol=1e-3, atol=1e-4)


def test_a_wrong_input_is_one_clear_error(tiny) -> None:
    graph = export(tiny(), input_size=(64, 96))
    with pytest.raises(EdgeError, match="ONNX Runtime cannot run the model"):
        run_float32(graph, {"images": np.zeros((1, 3, 96, 96), np.float32)})
