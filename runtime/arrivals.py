"""Whether a camera's next frame is worth waiting for.

A camera gives a frame every T seconds, and a detector that is slower finds the newest of them
phi old, anywhere in 0..T. Near the end of that span the next frame is about to come: to wait for
it costs the detector T - phi and makes the result phi fresher. Where it waits from 3/4 T on, no
frame is older than 3/4 T when it is taken; if phi drifts through 0..T, as it does between two
clocks, that costs 1/4 * 1/8 = 1/32 of T a result. Where phi stands still at a bad place (a
detector that takes 1.8 T) every result would have to wait, so waiting is paid from a budget.
"""

from __future__ import annotations

NEAR = 0.25
"""Of the time between two frames: one due so soon, or overdue by so little, is waited for."""

LONGEST = 0.02
"""Seconds to wait at most: other cameras may have frames by then."""

SHARE = 0.02
"""Of the time that may go to waiting."""

SAVED = 0.1
"""Seconds of that which may be saved up."""

SMOOTH = 0.125
"""The weight of the newest interval in the estimate of the time between two frames."""


class Arrivals:
    """Follows when the frames of one camera come (all moments by `time.perf_counter`)."""

    def __init__(self) -> None:
        self._last = self._interval = 0.0
        self._budget = self._counted = 0.0

    def note(self, now: float) -> None:
        """A frame has come."""
        if self._last:
            interval = now - self._last
            if self._interval:  # an interruption is no frame rate
                interval = min(interval, 2 * self._interval)
                interval = self._interval + SMOOTH * (interval - self._interval)
            self._interval = interval
        self._last = now

    def patience(self, now: float) -> float:
        """Return the seconds that the next frame may be waited for, zero for most."""
        self._budget = min(SAVED, self._budget + SHARE * (now - self._counted))
        self._counted = now
        longest = min(NEAR * self._interval, LONGEST)
        near = abs(self._last + self._interval - now) <= longest  # due, or a little overdue
        return longest if near and longest <= self._budget else 0.0

    def spend(self, seconds: float) -> None:
        """Take what was waited from the budget."""
        self._budget -= seconds
