"""From the network that was trained to the one that runs, in torch: one convolution a block.

The same algebra serves ONNX files, see `edge_sdk.converters.passes.fuse_branches`.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_sdk.converters.affine import Affine, Array
from edge_sdk.converters.models.blocks import ConvBN, ConvBNReLU, RepBlock


class FusedConv(nn.Conv2d):
    """What a block becomes: a convolution with bias, and a ReLU where the block had one."""

    relu: bool

    def forward(self, x: Tensor) -> Tensor:
        """Return the activated map."""
        y = super().forward(x)
        return functional.relu(y) if self.relu else y


def reparameterize(model: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode in which every block is a `FusedConv`.

    Fused in float64 and stored in the model's own type. A `FusedConv` stands where its block
    stood, so that `backbone.stem.conv` has the keys `backbone.stem.conv.weight` and `.bias`.

    Parameters
    ----------
    model : any module with `ConvBN`, `ConvBNReLU` or `RepBlock` inside, or one of them.
    """
    if isinstance(model, RepBlock | ConvBN):
        return _fused(model)
    fused = copy.deepcopy(model).eval()
    for name, module in list(fused.named_modules()):
        if isinstance(module, RepBlock | ConvBN) and _still_there(fused, name):
            fused.set_submodule(name, _fused(module))
    return fused


def affine(module: nn.Module) -> Affine:
    """Return a convolution, a pair of it and BN, or a block before its activation, as a map."""
    if isinstance(module, nn.Conv2d):
        (sv, sh), (dv, dh), (top, left) = module.stride, module.dilation, map(int, module.padding)
        bias = np.zeros(module.out_channels) if module.bias is None else _array(module.bias)
        return Affine(
            _array(module.weight), bias, module.groups, (sv, sh), (dv, dh), (top, left, top, left)
        )
    if isinstance(module, ConvBN):
        return _then(affine(module.conv), module.bn)
    assert isinstance(module, RepBlock)
    branches = module.branches
    side = affine(module.branch_1x1)
    total = affine(module.branch_3x3) + (
        side.then(_array(module.alpha)) if branches.alpha else side
    )
    if module.identity:
        identity = Affine.identity(total.cin)
        total += _then(identity, module.branch_identity) if branches.bn_identity else identity
        if branches.average:
            total += Affine.average(total.cin, 3, 1)
    return _then(total, module.post_bn) if branches.post_bn else total


def _fused(block: RepBlock | ConvBN) -> FusedConv:
    fused = affine(block)
    like = next(block.parameters())
    conv = FusedConv(
        fused.cin, fused.cout, fused.kernel.shape[2:], fused.strides, fused.pads[:2],
        fused.dilations, fused.groups, device=like.device, dtype=like.dtype,
    )  # fmt: skip
    conv.relu = isinstance(block, RepBlock | ConvBNReLU)
    with torch.no_grad():
        conv.weight.copy_(torch.from_numpy(fused.kernel))
        assert conv.bias is not None
        conv.bias.copy_(torch.from_numpy(fused.bias))
    return conv.eval()


def _then(before: Affine, norm: nn.BatchNorm2d) -> Affine:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return before.then_batch_norm(
        _array(norm.weight), _array(norm.bias),
        _array(norm.running_mean), _array(norm.running_var), norm.eps,
    )  # fmt: skip


def _array(tensor: Tensor) -> Array:
    array: Array = tensor.detach().cpu().double().numpy()
    return array


def _still_there(model: nn.Module, name: str) -> bool:
    """Whether no block around this one was replaced already."""
    try:
        model.get_submodule(name)
    except AttributeError:
        return False
    return True
