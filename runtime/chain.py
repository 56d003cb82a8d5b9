"""From a frame to its detections: letterbox, engine and post-processing, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from edge_sdk.detections import Detections
from edge_sdk.runtime.letterbox import Letterbox
from edge_sdk.runtime.postprocess import Postprocessor

if TYPE_CHECKING:
    from edge_sdk.runtime.backends.engine import Worker


class StageTimes(NamedTuple):
    """How long the stages of one frame took, in seconds."""

    letterbox: float
    inference: float
    postprocess: float

    @property
    def total(self) -> float:
        """From frame to detections."""
        return sum(self)


class Chain(Protocol):
    """Everything that one frame goes through, with buffers for one thread at a time."""

    def __call__(self, frame: Any, score: float) -> tuple[Detections, StageTimes]:
        """Return what is seen on a frame at no less than a score, and how long each stage took.

        Raises
        ------
        EdgeError
            If the frame has the wrong shape or type, or the engine fails.
        """


class HostChain:
    """Letterbox and post-processing on the CPU around an engine's worker.

    `postprocessor` returns the one for a score.
    """

    def __init__(
        self, letterbox: Letterbox, worker: Worker, postprocessor: Callable[[float], Postprocessor]
    ) -> None:
        self._letterbox = letterbox
        self._worker = worker
        self._postprocessor = postprocessor

    def __call__(self, frame: Any, score: float) -> tuple[Detections, StageTimes]:
        """See `Chain`."""
        image = np.asarray(frame)
        start = perf_counter()
        placement = self._letterbox(image, self._worker.input[0])
        placed = perf_counter()
        outputs = [output[0] for output in self._worker()]
        inferred = perf_counter()
        height, width = image.shape[:2]
        detections = self._postprocessor(score)(outputs, placement, (height, width))
        done = perf_counter()
        return detections, StageTimes(placed - start, inferred - placed, done - inferred)
