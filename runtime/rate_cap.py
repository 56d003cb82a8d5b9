"""No more frames a second than asked for."""

from __future__ import annotations


class RateCap:
    """Leaves out frames that come too soon after the last, by their timestamps.

    A camera's own jitter costs nothing: half a frame's time too soon is soon enough, and the
    next turn is counted from when this one was due.

    Parameters
    ----------
    most : frames a second, at most.
    """

    def __init__(self, most: float) -> None:
        self._period = 1 / most
        self._due = 0.0

    def __call__(self, timestamp: float, fps: float) -> bool:
        """Tell whether to leave out the frame at `timestamp` seconds, of `fps` a second."""
        if timestamp < self._due - 0.5 / fps:
            return True
        self._due = max(self._due, timestamp - self._period) + self._period
        return False
