"""How long work tells its caller how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Called as progress(done, total, what) with whole units of work and a short description."""


def silent(done: int, total: int, what: str) -> None:
    """Tell nobody."""
