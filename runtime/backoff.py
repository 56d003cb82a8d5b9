"""How long to wait before trying again."""

from __future__ import annotations

import random
from collections.abc import Callable

FIRST, LONGEST = 0.5, 30.0
"""Seconds: the wait after the first failure, and the longest."""


class Backoff:
    """Waits that double from `first` to `longest` seconds.

    Each is shortened by chance, by up to a half: what was lost together does not come back
    together.
    """

    def __init__(
        self,
        first: float = FIRST,
        longest: float = LONGEST,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._first, self._longest, self._chance = first, longest, chance
        self._next = first

    def next(self) -> float:
        """Return the seconds to wait now."""
        wait, self._next = self._next, min(2 * self._next, self._longest)
        return wait * (1 - self._chance() / 2)

    def reset(self) -> None:
        """Begin again: it has worked."""
        self._next = self._first
