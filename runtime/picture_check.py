"""Is a camera's picture frozen, or black?

A grid of pixels is looked at, never the whole picture: a camera that is alive has noise
everywhere, and one that is dead repeats itself to the last bit.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

GRID = 16
"""Pixels a side that are looked at."""

FROZEN = 10.0
"""Seconds of the very same picture. An encoder can repeat a still one for a second or two."""

BLACK = 3.0
"""Seconds without light."""

DARK = 24
"""The brightest that a black picture may be, of 255: video's black is 16."""

Fault = Literal["", "frozen", "black"]


class PictureCheck:
    """Follows the frames of one camera.

    Attributes
    ----------
    fault : what is wrong with the picture at present.
    frozen, black : how often it was.
    """

    def __init__(self) -> None:
        self.fault: Fault = ""
        self.frozen = self.black = 0
        self._sample = b""
        self._changed = self._lit = 0.0

    def __call__(self, image: npt.NDArray[np.uint8], now: float) -> Fault:
        """Look at the next frame, BGR uint8 [H, W, 3], which came at `now` seconds."""
        height, width = image.shape[:2]
        grid = image[:: max(1, height // GRID), :: max(1, width // GRID)]
        sample = grid.tobytes()
        if sample != self._sample:
            self._sample, self._changed = sample, now
        if not self._lit or max(sample) > DARK:
            self._lit = now
        fault: Fault = ""
        if now - self._lit >= BLACK:
            fault = "black"
        elif now - self._changed >= FROZEN:
            fault = "frozen"
        if fault != self.fault:
            self.black += fault == "black"
            self.frozen += fault == "frozen"
            self.fault = fault
        return fault
