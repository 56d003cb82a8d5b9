"""Random numbers of one world."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Dice:
    """Random numbers of one world, all made of uniform doubles."""

    def __init__(self, seed: int, stream: int) -> None:
        self._generator = np.random.Generator(
            np.random.Philox(key=np.array([seed, stream], np.uint64))
        )

    def uniforms(self, count: int) -> Floats:
        """Return `count` numbers in [0, 1)."""
        return self._generator.random(count)

    def between(self, low: float, high: float) -> float:
        """Return a number in [low, high)."""
        return low + (high - low) * float(self._generator.random())

    def chance(self, share: float) -> bool:
        """Return True for this share of all draws."""
        return float(self._generator.random()) < share

    def below(self, count: int) -> int:
        """Return a whole number in 0..count - 1."""
        return int(self._generator.random() * count)
