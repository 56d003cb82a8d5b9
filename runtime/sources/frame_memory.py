"""Memory for frames that is used again, so that a stream allocates nothing a frame.

An array is free when nobody but its owner refers to it: no frame, no view of it, no sink that
kept the picture. So whoever keeps frames gets memory of their own, and never another picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from sys import getrefcount

import numpy as np
import numpy.typing as npt

KEPT = 16
"""Arrays to keep: more than ever are under way where nobody collects frames."""

Image = npt.NDArray[np.uint8]


class FrameMemory:
    """Arrays of uint8, lent out until nothing refers to them any more."""

    def __init__(self) -> None:
        self._arrays: list[Image] = []

    def take(self, shape: Sequence[int]) -> Image:
        """Return an array of this shape; what it holds is of no meaning."""
        array = _free(self._arrays)
        if array is not None and array.shape == tuple(shape):
            return array
        if array is not None:
            self._arrays.clear()  # the frames have another size now
        array = np.empty(shape, np.uint8)
        if len(self._arrays) < KEPT:
            self._arrays.append(array)
        return array


def _free(arrays: list[Image]) -> Image | None:
    """Return an array that only the list refers to."""
    for array in arrays:
        if getrefcount(array) <= _OWN:
            return array
    return None


def _own_references(arrays: list[Image]) -> int:
    """Count what `_free` itself refers with: interpreters differ."""
    for array in arrays:
        return getrefcount(array)
    return 0


_OWN = _own_references([np.empty(0, np.uint8)])
