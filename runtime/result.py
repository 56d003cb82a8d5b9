"""What a stream hands over for each frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from edge_sdk.detections import Detections
from edge_sdk.runtime.detector import StageTimes
from edge_sdk.runtime.sources import Frame


@dataclass(frozen=True)
class Result:
    """What was found on a frame.

    Attributes
    ----------
    frame : the picture and where it comes from; `frame.index` is its number in the source.
    detections : boxes in pixels of `frame.image`.
    times : of the detector's stages, in seconds.
    age : seconds from capture until the result was handed over.
    wait : seconds from capture until the detector took the frame.
    captured : when that was, in seconds since 1970.
    missed : frames of this source, since its last result, that were dropped.
    """

    frame: Frame
    detections: Detections
    times: StageTimes
    age: float
    wait: float = 0.0
    captured: float = 0.0
    missed: int = 0

    @property
    def ages(self) -> dict[str, float]:
        """How old the frame was, in seconds, at the end of each stage."""
        ages, age = {"wait": self.wait}, self.wait
        for stage, seconds in self.times._asdict().items():
            ages[stage] = age = age + seconds
        return {**ages, "delivered": self.age}

    @cached_property
    def annotated(self) -> npt.NDArray[np.uint8]:
        """A copy of the picture with the detections drawn, made once for all sinks."""
        return self.detections.draw(self.frame.image.copy())
