"""YOLO-NAS, built from a record, with the module names of the published checkpoints."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from edge_sdk.converters.models.blocks import (
    CSP,
    SPP,
    VARIANTS,
    Bottleneck,
    Branches,
    ConvBNReLU,
    RepBlock,
)
from edge_sdk.converters.models.records import RECORDS, Record, Stage
from edge_sdk.errors import EdgeError

STRIDES = (8, 16, 32)
REG_MAX = 16
PRIOR = 0.01
"""Score of every class that an untrained network gives."""

ConvFactory = Callable[[int], nn.Module]


def yolo_nas(size: str | Record = "n", num_classes: int = 80, block: str = "qarepvgg") -> YoloNAS:
    """Return an initialized YOLO-NAS in training mode.

    Parameters
    ----------
    size : "n", "s", "m" or "l", or a record of one's own.
    num_classes : at least 1.
    block : "qarepvgg", or "repvgg" for the same network with RepVGG's blocks (BN on all three
        branches, none after the sum).

    Raises
    ------
    EdgeError
        If the size or the block is unknown, or there are no classes.
    """
    if isinstance(size, str) and size not in RECORDS:
        raise EdgeError(f"There is no YOLO-NAS {size!r}: choose one of {', '.join(RECORDS)}.")
    if block not in VARIANTS:
        raise EdgeError(f"There is no block {block!r}: choose one of {', '.join(VARIANTS)}.")
    if num_classes < 1:
        raise EdgeError(f"A detector needs at least one class, not {num_classes}.")
    record = RECORDS[size] if isinstance(size, str) else size
    return YoloNAS(record, num_classes, VARIANTS[block])


class YoloNAS(nn.Module):
    """The detector up to its prediction convolutions.

    Called with images [B, 3, H, W] (RGB, 0..1, H and W multiples of 32), it returns, one tensor
    a stride (8, 16, 32), the class logits [B, C, H/s, W/s] and the distances
    [B, 4 (reg_max + 1), H/s, W/s] as logits of the distribution over 0..reg_max cells for left,
    top, right, bottom.
    """

    def __init__(self, record: Record, num_classes: int, branches: Branches) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.reg_max = REG_MAX
        self.backbone = Backbone(record, branches)
        self.neck = Neck(record, branches)
        widths = (stage.channels for stage in record.neck[1:])
        self.heads = nn.Module()
        for number, (width, inner) in enumerate(zip(widths, record.heads, strict=True), start=1):
            self.heads.add_module(f"head{number}", Head(width, inner, num_classes))
        initialize(self)

    def forward(self, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        pairs = [
            head(level)
            for head, level in zip(self.heads.children(), self.neck(*self.backbone(x)), strict=True)
        ]
        return [classes for classes, _ in pairs], [distances for _, distances in pairs]


class Backbone(nn.Module):
    """Stem, four stages, spatial pyramid pooling; returns strides 4, 8, 16 and 32."""

    def __init__(self, record: Record, branches: Branches) -> None:
        super().__init__()
        self.stem = Stem(record.stem, branches)
        first, second, third, last = record.backbone
        self.stage1 = BackboneStage(record.stem, first, branches)
        self.stage2 = BackboneStage(first.channels, second, branches)
        self.stage3 = BackboneStage(second.channels, third, branches)
        self.stage4 = BackboneStage(third.channels, last, branches)
        self.context_module = SPP(last.channels)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        c2 = self.stage1(self.stem(x))
        c3 = self.stage2(c2)
        c4 = self.stage3(c3)
        return c2, c3, c4, self.context_module(self.stage4(c4))


class Stem(nn.Module):
    """A block of stride 2 on the image."""

    def __init__(self, cout: int, branches: Branches) -> None:
        super().__init__()
        self.conv = RepBlock(3, cout, 2, branches=branches)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y


class BackboneStage(nn.Module):
    """A block of stride 2, then a CSP layer."""

    def __init__(self, cin: int, stage: Stage, branches: Branches) -> None:
        super().__init__()
        self.downsample = RepBlock(cin, stage.channels, 2, branches=branches)
        self.blocks = csp(stage.channels, stage, rep_factory(branches))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.blocks(self.downsample(x))
        return y


class Neck(nn.Module):
    """A path up and a path down between the strides; returns strides 8, 16 and 32."""

    def __init__(self, record: Record, branches: Branches) -> None:
        super().__init__()
        c2, c3, c4, c5 = (stage.channels for stage in record.backbone)
        up1, up2, down1, down2 = record.neck
        self.neck1 = UpStage(c5, c4, c3, up1, branches)
        self.neck2 = UpStage(up1.channels, c3, c2, up2, branches)
        self.neck3 = DownStage(up2.channels, up2.channels, down1)
        self.neck4 = DownStage(down1.channels, up1.channels, down2)

    def forward(self, c2: Tensor, c3: Tensor, c4: Tensor, c5: Tensor) -> tuple[Tensor, ...]:
        inter1, x = self.neck1(c5, c4, c3)
        inter2, p3 = self.neck2(x, c3, c2)
        p4 = self.neck3(p3, inter2)
        return p3, p4, self.neck4(p4, inter1)


class UpStage(nn.Module):
    """Joins a coarse map with the map of the next finer stride and one finer still."""

    def __init__(self, cin: int, skip1: int, skip2: int, stage: Stage, branches: Branches) -> None:
        super().__init__()
        cout = stage.channels
        self.reduce_skip1 = ConvBNReLU(skip1, cout)
        self.reduce_skip2 = ConvBNReLU(skip2, cout)
        self.conv = ConvBNReLU(cin, cout)
        self.upsample = nn.ConvTranspose2d(cout, cout, 2, 2)
        self.downsample = ConvBNReLU(cout, cout, 3, 2)
        self.reduce_after_concat = ConvBNReLU(3 * cout, cout)
        self.blocks = csp(cout, stage, rep_factory(branches))

    def forward(self, x: Tensor, skip1: Tensor, skip2: Tensor) -> tuple[Tensor, Tensor]:
        inter = self.conv(x)
        members = [
            self.upsample(inter),
            self.reduce_skip1(skip1),
            self.downsample(self.reduce_skip2(skip2)),
        ]
        return inter, self.blocks(self.reduce_after_concat(torch.cat(members, dim=1)))


class DownStage(nn.Module):
    """Joins a fine map with the map that the way up left at the next coarser stride."""

    def __init__(self, cin: int, skip: int, stage: Stage) -> None:
        super().__init__()
        half = stage.channels // 2
        self.conv = ConvBNReLU(cin, half, 3, 2)
        self.blocks = csp(half + skip, stage, lambda width: ConvBNReLU(width, width, 3))

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        y: Tensor = self.blocks(torch.cat([self.conv(x), skip], dim=1))
        return y


class Head(nn.Module):
    """Class logits and distances of one stride."""

    def __init__(self, cin: int, inner: int, num_classes: int) -> None:
        super().__init__()
        self.stem = Seq(cin, inner)
        self.cls_convs = nn.Sequential(Seq(inner, inner, 3))
        self.reg_convs = nn.Sequential(Seq(inner, inner, 3))
        self.cls_pred = nn.Conv2d(inner, num_classes, 1)
        self.reg_pred = nn.Conv2d(inner, 4 * (REG_MAX + 1), 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.stem(x)
        return self.cls_pred(self.cls_convs(x)), self.reg_pred(self.reg_convs(x))


class Seq(nn.Module):
    """`ConvBNReLU` one level deeper, as the checkpoints name it in the heads."""

    def __init__(self, cin: int, cout: int, kernel: int = 1) -> None:
        super().__init__()
        self.seq = ConvBNReLU(cin, cout, kernel)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.seq(x)
        return y


def rep_factory(branches: Branches) -> ConvFactory:
    """Return a maker of blocks with an identity branch."""
    return lambda width: RepBlock(width, width, identity=True, branches=branches)


def csp(cin: int, stage: Stage, factory: ConvFactory) -> CSP:
    """Return a CSP layer whose bottlenecks are made of `factory`'s convolutions."""
    bottlenecks = [
        Bottleneck(factory(stage.hidden), factory(stage.hidden)) for _ in range(stage.depth)
    ]
    return CSP(cin, stage.channels, stage.hidden, bottlenecks, stage.concat)


def initialize(model: nn.Module) -> None:
    """Draw weights that keep the variance; predictions start flat, at the prior score."""
    for name, module in model.named_modules():
        if isinstance(module, nn.ConvTranspose2d):
            nn.init.normal_(module.weight, std=1.0 / math.sqrt(module.in_channels))
            nn.init.zeros_(_bias(module))
        elif isinstance(module, nn.Conv2d):
            if name.endswith("_pred"):
                nn.init.normal_(module.weight, std=0.01)
                prior = -math.log((1 - PRIOR) / PRIOR) if name.endswith("cls_pred") else 0.0
                nn.init.constant_(_bias(module), prior)
            else:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)


def _bias(module: Any) -> Tensor:
    bias: Tensor = module.bias
    return bias
