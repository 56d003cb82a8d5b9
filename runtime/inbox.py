"""Where cameras leave their frames and the detector takes them, each camera in its turn."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Literal

from edge_sdk.runtime.arrivals import Arrivals
from edge_sdk.runtime.sources import Frame

Policy = Literal["latest", "every"]
"""latest: a new frame replaces one that still waits; every: the camera waits for room."""

POLICIES: tuple[Policy, ...] = ("latest", "every")
ROOM = 2
"""Frames that may wait, a camera whose every frame counts: one to take, one being read."""

Reason = Literal["late", "stale", "capped", "paused", "failed", "unread"]
"""Why a frame was not delivered."""


@dataclass(slots=True)
class Captured:
    """A frame, the number of its camera, and when it was there (`time.perf_counter`).

    `taken` is when the detector took it, and `ticket` the order of taking.
    """

    frame: Frame
    camera: int
    at: float
    taken: float = 0.0
    ticket: int = 0


@dataclass
class Counts:
    """What became of a camera's frames: captured = delivered + all the others, at the end.

    Attributes
    ----------
    captured : frames that the camera gave.
    delivered : results that were handed over.
    late : frames replaced by newer ones before the detector was free.
    stale : frames or results older than the stream's `max_staleness`.
    capped : frames beyond the camera's `max_fps`.
    paused : frames that came while the stream was paused.
    failed : frames whose inference failed.
    unread : frames under way when the stream was stopped.
    """

    captured: int = 0
    delivered: int = 0
    late: int = 0
    stale: int = 0
    capped: int = 0
    paused: int = 0
    failed: int = 0
    unread: int = 0

    @property
    def dropped(self) -> dict[str, int]:
        """Reason -> frames that were not delivered."""
        values = asdict(self)
        del values["captured"], values["delivered"]
        return values


class Inbox:
    """One short queue a camera, all behind one lock, which guards the counts as well.

    Parameters
    ----------
    policies : one a camera.
    max_staleness : seconds; older frames are not given to the detector.
    """

    def __init__(self, policies: Sequence[Policy], max_staleness: float | None = None) -> None:
        self.counts = [Counts() for _ in policies]
        self._policies = policies
        self._max_staleness = max_staleness
        self._waiting: list[deque[Captured]] = [deque() for _ in policies]
        self._arrivals = [Arrivals() for _ in policies]
        self._open = set(range(len(policies)))
        self._turn = 0
        self._ticket = 0
        self._paused = False
        self._changed = threading.Condition()

    def put(self, item: Captured) -> bool:
        """Leave a frame, as the camera's policy says; False once the inbox is closed."""
        waiting, counts = self._waiting[item.camera], self.counts[item.camera]
        with self._changed:
            counts.captured += 1
            if self._policies[item.camera] == "latest":
                self._arrivals[item.camera].note(perf_counter())
                counts.late += len(waiting)
                waiting.clear()
                if self._paused and self._open:
                    counts.paused += 1
                    return True
            else:
                self._changed.wait_for(lambda: len(waiting) < ROOM or not self._open)
            if not self._open:
                counts.unread += 1
                return False
            waiting.append(item)
            self._changed.notify_all()
            return True

    def skip(self, camera: int) -> None:
        """Count a frame that its camera's rate cap leaves out."""
        with self._changed:
            self.counts[camera].captured += 1
            self.counts[camera].capped += 1

    def drop(self, item: Captured, reason: Reason) -> None:
        """Count a frame that was taken and will not be delivered."""
        with self._changed:
            counts = self.counts[item.camera]
            setattr(counts, reason, getattr(counts, reason) + 1)

    def deliver(self, item: Captured) -> None:
        """Count a frame whose result is handed over."""
        with self._changed:
            self.counts[item.camera].delivered += 1

    def take(self) -> Captured | None:
        """Wait for a frame; None when every camera has ended, or the inbox is closed."""
        with self._changed:
            while True:
                self._changed.wait_for(self._ready)
                if self._wait_for_newer():
                    continue
                item = self._next()
                if item is None:
                    return None
                item.taken = perf_counter()
                if self._max_staleness is None or item.taken - item.at <= self._max_staleness:
                    item.ticket, self._ticket = self._ticket, self._ticket + 1
                    return item
                self.counts[item.camera].stale += 1

    def _ready(self) -> bool:
        return not self._open if self._paused else any(self._waiting) or not self._open

    def _wait_for_newer(self) -> bool:
        """Wait for a newer frame in the place of the only one, if it is due; False if not."""
        item, start = self._only(), perf_counter()
        if item is None or self._policies[item.camera] == "every" or item.camera not in self._open:
            return False
        arrivals = self._arrivals[item.camera]
        patience = arrivals.patience(start)
        if not patience:
            return False
        self._changed.wait_for(lambda: self._only() is not item, patience)
        arrivals.spend(perf_counter() - start)
        return True

    def _only(self) -> Captured | None:
        """Return the frame that waits, where it is the only one."""
        found = [waiting[0] for waiting in self._waiting if waiting]
        return found[0] if len(found) == 1 else None

    def _next(self) -> Captured | None:
        """Return the next camera's oldest frame."""
        for _ in self._waiting:
            waiting = self._waiting[self._turn]
            self._turn = (self._turn + 1) % len(self._waiting)
            if waiting:
                self._changed.notify_all()
                return waiting.popleft()
        return None

    def pause(self, paused: bool) -> None:
        """Give no frames away for now, or again: cameras go on and are counted, files wait."""
        with self._changed:
            self._paused = paused
            for waiting, policy, counts in zip(
                self._waiting, self._policies, self.counts, strict=True
            ):
                if paused and policy == "latest":
                    counts.paused += len(waiting)
                    waiting.clear()
            self._changed.notify_all()

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
