"""When the pictures of a video file are to be seen."""

from __future__ import annotations


class FileClock:
    """Seconds since the first picture, as the file tells them; always later than the last.

    A picture of which the file tells nothing, or nothing later, comes a frame's time after the
    last, and so does the first of another round.

    Parameters
    ----------
    fps : frames a second.
    """

    def __init__(self, fps: float) -> None:
        self._step = 1 / fps
        self._last = -self._step
        self._origin: float | None = None

    def begin(self) -> None:
        """Begin another round."""
        self._origin = None

    def __call__(self, told: float | None) -> float:
        """Return the time of the next picture; `told` are the file's seconds."""
        following = self._last + self._step
        if told is None:
            self._last = following
            return following
        if self._origin is None:
            self._origin = told - following
        moment = told - self._origin
        self._last = moment if moment > self._last else following
        return self._last
