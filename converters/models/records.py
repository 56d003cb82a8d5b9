"""YOLO-NAS as values: a network is a `Record`, and N, S, M and L are four of them.

S, M and L share their widths outside the bottlenecks; N is the backbone and neck of the
published pose network with head widths that fit INT8 tiles.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """One CSP layer: `channels` out, `depth` bottlenecks of width `hidden`.

    With `concat` the layer's last convolution reads the output of every bottleneck.
    """

    channels: int
    depth: int
    hidden: int
    concat: bool = False


@dataclass(frozen=True)
class Record:
    """A YOLO-NAS network without its number of classes.

    Attributes
    ----------
    stem : channels at stride 2.
    backbone : at strides 4, 8, 16 and 32.
    neck : two stages up (strides 16, 8), two down (16, 32).
    heads : widths of the three heads at strides 8, 16 and 32.
    """

    stem: int
    backbone: tuple[Stage, Stage, Stage, Stage]
    neck: tuple[Stage, Stage, Stage, Stage]
    heads: tuple[int, int, int]


RECORDS = {
    "n": Record(
        stem=32,
        backbone=(Stage(64, 2, 32), Stage(128, 3, 48), Stage(256, 4, 64), Stage(512, 2, 128)),
        neck=(Stage(128, 2, 48), Stage(64, 2, 32), Stage(128, 2, 48), Stage(256, 2, 48)),
        heads=(48, 96, 160),
    ),
    "s": Record(
        stem=48,
        backbone=(Stage(96, 2, 32), Stage(192, 3, 64), Stage(384, 5, 96), Stage(768, 2, 192)),
        neck=(Stage(192, 2, 64), Stage(96, 2, 48), Stage(192, 2, 64), Stage(384, 2, 64)),
        heads=(64, 128, 256),
    ),
    "m": Record(
        stem=48,
        backbone=(
            Stage(96, 2, 64, True),
            Stage(192, 3, 128, True),
            Stage(384, 5, 256, True),
            Stage(768, 2, 384),
        ),
        neck=(Stage(192, 2, 192), Stage(96, 3, 64), Stage(192, 2, 192), Stage(384, 3, 256)),
        heads=(96, 192, 384),
    ),
    "l": Record(
        stem=48,
        backbone=(
            Stage(96, 2, 96, True),
            Stage(192, 3, 128, True),
            Stage(384, 5, 256, True),
            Stage(768, 2, 512, True),
        ),
        neck=(Stage(192, 4, 128), Stage(96, 4, 128), Stage(192, 4, 128), Stage(384, 4, 256)),
        heads=(128, 256, 512),
    ),
}
