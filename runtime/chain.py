"""From a frame to its detections: letterbox, engine and post-processing, one after the other."""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from edge_sdk.detections import Detections
from edge_sdk.errors import EdgeError
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


def host_image(frame: Any) -> npt.NDArray[Any]:
    """Return a frame that lies in the host's memory as an array, without a copy.

    Raises
    ------
    EdgeError
        If it cannot be one, or is of Pillow, whose pictures are RGB where frames are BGR.
    """
    pillow = sys.modules.get("PIL.Image")
    if pillow is not None and isinstance(frame, pillow.Image):
        raise EdgeError(
            "A frame must be BGR, and pictures of Pillow are RGB: give "
            "numpy.asarray(picture.convert('RGB'))[..., ::-1]."
        )
    try:
        return np.asarray(frame)
    except (TypeError, ValueError, RuntimeError) as error:  # of a tensor on a GPU, for one
        raise EdgeError(f"A frame must be an array that numpy can read: {error}") from error


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
        image = host_image(frame)
        start = perf_counter()
        placement = self._letterbox(image, self._worker.input[0])
        placed = perf_counter()
        outputs = [output[0] for output in self._worker()]
        inferred = perf_counter()
        height, width = image.shape[:2]
        detections = self._postprocessor(score)(outputs, placement, (height, width))
        done = perf_counter()
        return detections, StageTimes(placed - start, inferred - placed, done - inferred)
