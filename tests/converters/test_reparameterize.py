"""Fusion in torch, against the branches."""

from __future__ import annotations

import itertools
from itertools import chain

import pytest
import torch

from edge_sdk.converters.affine import Affine
from edge_sdk.converters.models.blocks import VARIANTS, Branches, ConvBNReLU, RepBlock
from edge_sdk.converters.reparameterize import FusedConv, reparameterize

SHAPES = [
    {"stride": 1, "identity": True, "groups": 1},
    {"stride": 1, "identity": True, "groups": 4},
    {"stride": 1, "identity": True, "groups": 8},
    {"stride": 1, "identity": False, "groups": 2},
    {"stride": 2, "identity": False, "groups": 1},
    {"stride": 2, "identity": False, "groups": 4},
]
EVERY_VARIANT = {**VARIANTS, "alpha": Branches(alpha=True), "no post BN": Branches(post_bn=False)}


@pytest.mark.parametrize(
    ("variant", "shape"), list(itertools.product(EVERY_VARIANT, range(len(SHAPES))))
)
def test_a_block_becomes_one_convolution(variant: str, shape: int, lively) -> None:
    torch.manual_seed(1)
    block = lively(RepBlock(8, 8, **SHAPES[shape], branches=EVERY_VARIANT[variant])).double()
    x = torch.randn(2, 8, 9, 11, dtype=torch.float64)
    with torch.inference_mode():
        expected, fused = block(x), reparameterize(block)
        assert isinstance(fused, FusedConv)
        torch.testing.assert_close(fused(x), expected, atol=1e-12, rtol=1e-12)


def test_channels_may_change(lively) -> None:
    block = lively(RepBlock(4, 12, 2)).double()
    x = torch.randn(1, 4, 8, 8, dtype=torch.float64)
    with torch.inference_mode():
        torch.testing.assert_close(reparameterize(block)(x), block(x), atol=1e-12, rtol=1e-12)


def test_a_plain_convolution_takes_its_batch_norm_in(lively) -> None:
    layer = lively(ConvBNReLU(4, 6, 3, 2)).double()
    x = torch.randn(1, 4, 8, 8, dtype=torch.float64)
    with torch.inference_mode():
        torch.testing.assert_close(reparameterize(layer)(x), layer(x), atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("block", ["qarepvgg", "repvgg"])
def test_a_network_keeps_its_outputs_and_is_left_as_it_was(tiny, block: str) -> None:
    model = tiny(block=block).double()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    fused = reparameterize(model)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in fused.modules())
    assert "backbone.stem.conv.weight" in fused.state_dict()
    x = torch.rand(1, 3, 64, 64, dtype=torch.float64)
    with torch.inference_mode():
        for expected, found in zip(chain(*model(x)), chain(*fused(x)), strict=True):
            torch.testing.assert_close(found, expected, atol=1e-10, rtol=1e-10)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_a_dead_channel_stays_finite(lively) -> None:
    block = lively(RepBlock(4, 4, identity=True))
    with torch.no_grad():
        block.post_bn.running_var[0] = 0.0
        block.post_bn.weight[1] = 0.0
        block.branch_3x3.bn.running_var[2] = 0.0
    fused = reparameterize(block)
    assert all(bool(tensor.isfinite().all()) for tensor in fused.state_dict().values())


def test_maps_that_are_no_single_convolution_do_not_add() -> None:
    import numpy as np

    one = Affine.identity(4)
    strided = Affine(np.ones((4, 4, 1, 1)), np.zeros(4), strides=(2, 2))
    unpadded = Affine(np.ones((4, 4, 3, 3)), np.zeros(4))
    for other in (strided, unpadded, Affine.identity(3)):
        assert not one.can_add(other)
        with pytest.raises(ValueError, match="one convolution"):
            one + other
