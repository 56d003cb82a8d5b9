"""Where cameras leave their frames and the detector takes them, each camera in its turn."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from edge_sdk.runtime.sources import Frame

Policy = Literal["latest", "every"]
"""latest: a new frame replaces one that still waits; every: the camera waits for room."""

POLICIES: tuple[Policy, ...] = ("latest", "every")
ROOM = 2
"""Frames that may wait, a camera whose every frame counts: one to take, one being read."""


@dataclass(frozen=True)
class Captured:
    """A frame, the number of its camera, and when it was there (`time.perf_counter`)."""

    frame: Frame
    camera: int
    at: float


@dataclass
class Counts:
    """What became of a camera's frames: captured = delivered + late + unread, at the end.

    Attributes
    ----------
    captured : frames that the camera gave.
    delivered : results that were handed over.
    late : frames replaced by newer ones before the detector was free.
    unread : frames under way when the stream was stopped.
    """

    captured: int = 0
    delivered: int = 0
    late: int = 0
    unread: int = 0


class Inbox:
    """One short queue a camera, all behind one lock."""

    def __init__(self, policies: Sequence[Policy]) -> None:
        self.counts = [Counts() for _ in policies]
        self._policies = policies
        self._waiting: list[deque[Captured]] = [deque() for _ in policies]
        self._open = set(range(len(policies)))
        self._turn = 0
        self._changed = threading.Condition()

    def put(self, item: Captured) -> bool:
        """Leave a frame, as the camera's policy says; False once the inbox is closed."""
        waiting, counts = self._waiting[item.camera], self.counts[item.camera]
        with self._changed:
            counts.captured += 1
            if self._policies[item.camera] == "latest":
                counts.late += len(waiting)
                waiting.clear()
            else:
                self._changed.wait_for(lambda: len(waiting) < ROOM or not self._open)
            if not self._open:
                counts.unread += 1
                return False
            waiting.append(item)
            self._changed.notify_all()
            return True

    def take(self) -> Captured | None:
        """Wait for a frame; None when every camera has ended, or the inbox is closed."""
        with self._changed:
            self._changed.wait_for(lambda: any(self._waiting) or not self._open)
            for _ in self._waiting:
                waiting = self._waiting[self._turn]
                self._turn = (self._turn + 1) % len(self._waiting)
                if waiting:
                    self._changed.notify_all()
                    return waiting.popleft()
            return None

    def end(self, camera: int) -> None:
        """Say that a camera has no more frames."""
        with self._changed:
            self._open.discard(camera)
            self._changed.notify_all()

    def close(self) -> None:
        """Take no more frames and give none away; those that wait stay unread."""
        with self._changed:
            self._open.clear()
            for waiting, counts in zip(self._waiting, self.counts, strict=True):
                counts.unread += len(waiting)
                waiting.clear()
            self._changed.notify_all()
