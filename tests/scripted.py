"""A source that does as a test wants."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from edge_sdk.runtime.inbox import Counts
from edge_sdk.runtime.sources import Source


class Scripted(Source):
    """Frames of nothing, with pauses and faults as a test wants them."""

    def __init__(
        self, frames: int | None = 10, *, live: bool = False, fps: float = 100.0,
        pause: float = 0.0, fault: Exception | None = None, name: str = "scripted",
    ) -> None:  # fmt: skip
        super().__init__(name, fps)
        self.live = live
        self.opened = 0
        self.closed = 0
        self._count, self._pause, self._fault = frames, pause, fault

    def _images(self) -> Iterator[npt.NDArray[np.uint8]]:
        done = 0
        self.opened += 1
        while done != self._count:
            time.sleep(self._pause)
            yield np.full((48, 64, 3), done % 256, np.uint8)
            done += 1
        if self._fault is not None:
            raise self._fault

    def close(self) -> None:
        self.closed += 1


def adds_up(counts: Counts) -> bool:
    """Tell whether each frame was delivered or counted as dropped."""
    return counts.captured == counts.delivered + sum(counts.dropped.values())
