"""What a hybrid may cost: accuracy on labelled images, a shift against float, or latency."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge_sdk.errors import EdgeError

DEFAULT_SHIFT = 0.003
"""Of `edge_sdk.calibration.shift`: about 0.3 points of mAP50-95. It was set on few networks: what a
plan loses on held-out images is for `edge-sdk eval` to say."""


@dataclass(frozen=True)
class Budget:
    """The limits of a search. Without any, `max_shift` is `DEFAULT_SHIFT`.

    With a limit on the loss (`max_drop`, `max_shift`) the fastest plan within it is searched for;
    with `max_latency` alone the most faithful one within that.

    Attributes
    ----------
    max_drop : points of mAP50-95 (0..100) that may be lost against float on `labels`: the upper
        95 % bound of the loss (paired bootstrap over the images) must not exceed it.
    max_shift : the largest loss of `edge_sdk.calibration.sensitivity.Shift` against float.
    max_latency : milliseconds of one inference.
    labels : labelled images for `max_drop`: training images, not those of the final figures.
    split : of `labels`.

    Raises
    ------
    EdgeError
        If a limit is out of range, or `max_drop` comes without labels.
    """

    max_drop: float | None = None
    max_shift: float | None = None
    max_latency: float | None = None
    labels: str | None = None
    split: str = "train"

    def __post_init__(self) -> None:
        for name in ("max_drop", "max_shift", "max_latency"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise EdgeError(f"--{name.replace('_', '-')} is {value}: give a number from 0 on.")
        if self.max_latency == 0:
            raise EdgeError("--max-latency is 0: give the milliseconds that one frame may take.")
        if self.max_drop is not None and self.labels is None:
            raise EdgeError(
                "--max-drop needs labelled images to measure the accuracy on: give them with "
                "--labels, or bound the shift against float with --max-shift, which needs none."
            )
        if (self.max_drop, self.max_shift, self.max_latency) == (None, None, None):
            object.__setattr__(self, "max_shift", DEFAULT_SHIFT)

    @property
    def bounds_loss(self) -> bool:
        """Whether accuracy or shift is limited."""
        return self.max_drop is not None or self.max_shift is not None

    def __str__(self) -> str:
        limits = []
        if self.max_drop is not None:
            limits.append(
                f"at most {self.max_drop:g} points of mAP50-95 lost on {self.labels} (upper 95 % "
                "bound)"
            )
        if self.max_shift is not None:
            limits.append(f"a shift of at most {self.max_shift:g}")
        if self.max_latency is not None:
            limits.append(f"at most {self.max_latency:g} ms")
        return " and ".join(limits)
