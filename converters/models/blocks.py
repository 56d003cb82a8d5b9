"""Convolutional blocks, above all the reparameterizable ones: many branches in training, one
convolution afterwards.

Module names follow the published YOLO-NAS checkpoints, so that their keys fit.

Sources: RepVGG (Ding et al., CVPR 2021, arXiv 2101.03697), QARepVGG (Chu et al., AAAI 2024,
arXiv 2212.01593).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

BN_EPS = float(np.float32(1e-3))
"""Rounded, since ONNX holds it in float32: both then normalize alike to the last digit."""
BN_MOMENTUM = 0.03


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Return a batch normalization with YOLO-NAS's constants."""
    return nn.BatchNorm2d(channels, eps=BN_EPS, momentum=BN_MOMENTUM)


class ConvBN(nn.Module):
    """Convolution without bias, then batch normalization; odd kernels keep the size."""

    def __init__(
        self, cin: int, cout: int, kernel: int = 1, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = batch_norm(cout)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.bn(self.conv(x))
        return y


class ConvBNReLU(ConvBN):
    """`ConvBN` and ReLU."""

    def __init__(self, cin: int, cout: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__(cin, cout, kernel, stride)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.act(super().forward(x))
        return y


@dataclass(frozen=True)
class Branches:
    """Which parts a reparameterizable block has beside its 3x3 convolution with BN.

    Attributes
    ----------
    bn_1x1, bias_1x1 : the 1x1 convolution is followed by BN; has a bias.
    alpha : the 1x1 branch has a learnt factor.
    bn_identity : BN on the identity branch, where there is one.
    average : a 3x3 average-pool branch, where there is an identity branch.
    post_bn : BN after the sum.
    """

    bn_1x1: bool = False
    bias_1x1: bool = True
    alpha: bool = False
    bn_identity: bool = False
    average: bool = False
    post_bn: bool = True


VARIANTS = {
    "qarepvgg": Branches(),
    "repvgg": Branches(bn_1x1=True, bias_1x1=False, bn_identity=True, post_bn=False),
    "yolov6_qarep": Branches(bias_1x1=False),
    "yolov6_qarep_v2": Branches(bias_1x1=False, average=True),
}
"""qarepvgg is YOLO-NAS's block; the two of YOLOv6 differ in the bias and the pooling branch."""


class RepBlock(nn.Module):
    """act(post_bn(BN(W3 * x) + alpha (W1 * x + b1) + x + ...)), see `Branches`.

    Parameters
    ----------
    cin, cout : channels.
    stride, groups : of both convolutions.
    identity : whether x itself is a branch; needs cin == cout and stride 1.
    branches : the variant.
    """

    def __init__(
        self,
        cin: int,
        cout: int,
        stride: int = 1,
        *,
        groups: int = 1,
        identity: bool = False,
        branches: Branches = VARIANTS["qarepvgg"],
    ) -> None:
        super().__init__()
        if identity and (cin != cout or stride != 1):
            raise ValueError("an identity branch needs as many outputs as inputs, and stride 1")
        self.identity = identity
        self.branches = branches
        self.branch_3x3 = ConvBN(cin, cout, 3, stride, groups)
        self.branch_1x1: Any = (
            ConvBN(cin, cout, 1, stride, groups)
            if branches.bn_1x1
            else nn.Conv2d(cin, cout, 1, stride, groups=groups, bias=branches.bias_1x1)
        )
        if branches.alpha:
            self.alpha = nn.Parameter(torch.ones(1))
        if identity and branches.bn_identity:
            self.branch_identity = batch_norm(cin)
        if identity and branches.average:
            self.branch_average = nn.AvgPool2d(3, stride, 1)
        if branches.post_bn:
            self.post_bn = batch_norm(cout)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.branch_3x3(x) + (self._side_training(x) if self.training else self._side(x))
        if self.identity and self.branches.average:
            y = y + self.branch_average(x)
        if self.branches.post_bn:
            y = self.post_bn(y)
        activated: Tensor = self.act(y)
        return activated

    def _side(self, x: Tensor) -> Tensor:
        """The 1x1 and the identity branch as they are defined."""
        y: Tensor = self.branch_1x1(x)
        if self.branches.alpha:
            y = self.alpha * y
        if self.identity:
            y = y + (self.branch_identity(x) if self.branches.bn_identity else x)
        return y

    def _side_training(self, x: Tensor) -> Tensor:
        """The same with fewer passes over memory: a plain identity joins the 1x1 kernel.

        The stride is taken by slicing, since the backward pass of a strided 1x1 convolution of
        three channels corrupts memory in torch 2.13 on CPUs when the tensors are channels-last.
        """
        branches = self.branches
        conv = self.branch_1x1.conv if branches.bn_1x1 else self.branch_1x1
        weight, bias = conv.weight, conv.bias
        if branches.alpha:
            weight, bias = self.alpha * weight, None if bias is None else self.alpha * bias
        plain_identity = self.identity and not (branches.bn_1x1 or branches.bn_identity)
        if plain_identity:
            weight = weight + identity_kernel(weight)
        sv, sh = conv.stride
        y = functional.conv2d(x[:, :, ::sv, ::sh], weight, bias, groups=conv.groups)
        if branches.bn_1x1:
            y = self.branch_1x1.bn(y)
        if self.identity and not plain_identity:
            y = y + (self.branch_identity(x) if branches.bn_identity else x)
        return y


def identity_kernel(weight: Tensor) -> Tensor:
    """Return the 1x1 kernel that copies its input, for the shape and groups of `weight`."""
    cout, per_group = weight.shape[:2]
    rows = torch.arange(cout, device=weight.device)
    kernel = torch.zeros_like(weight, requires_grad=False)
    kernel[rows, rows % per_group] = 1.0
    return kernel


class Bottleneck(nn.Module):
    """alpha x + cv2(cv1(x)): the ReLU of cv2 sits before the sum, none after it."""

    def __init__(self, cv1: nn.Module, cv2: nn.Module) -> None:
        super().__init__()
        self.cv1 = cv1
        self.cv2 = cv2
        self.alpha = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.alpha * x + self.cv2(self.cv1(x))
        return y


class CSP(nn.Module):
    """Cross-stage partial layer: a chain of bottlenecks beside a short cut.

    conv3 reads [last, short cut], or with `concat` [first, every bottleneck, short cut].
    """

    def __init__(
        self, cin: int, cout: int, hidden: int, bottlenecks: list[Bottleneck], concat: bool
    ) -> None:
        super().__init__()
        self.concat = concat
        self.conv1 = ConvBNReLU(cin, hidden)
        self.conv2 = ConvBNReLU(cin, hidden)
        self.conv3 = ConvBNReLU(hidden * (2 + concat * len(bottlenecks)), cout)
        self.bottlenecks = nn.ModuleList(bottlenecks)

    def forward(self, x: Tensor) -> Tensor:
        chain = [self.conv1(x)]
        for bottleneck in self.bottlenecks:
            chain.append(bottleneck(chain[-1]))
        members = chain if self.concat else chain[-1:]
        y: Tensor = self.conv3(torch.cat([*members, self.conv2(x)], dim=1))
        return y


class SPP(nn.Module):
    """Spatial pyramid pooling: the input beside its maxima over 5, 9 and 13 pixels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.cv1 = ConvBNReLU(channels, channels // 2)
        self.cv2 = ConvBNReLU(channels // 2 * 4, channels)
        self.m = nn.ModuleList(nn.MaxPool2d(size, 1, size // 2) for size in (5, 9, 13))

    def forward(self, x: Tensor) -> Tensor:
        x = self.cv1(x)
        y: Tensor = self.cv2(torch.cat([x, *(pool(x) for pool in self.m)], dim=1))
        return y
