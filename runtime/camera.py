"""A source as the pipeline sees it: what came of it, and how it is."""

from __future__ import annotations

import threading
from contextlib import closing
from time import perf_counter
from typing import TYPE_CHECKING, Any

from edge_sdk.errors import EdgeError
from edge_sdk.runtime.backoff import Backoff
from edge_sdk.runtime.faults import words_of
from edge_sdk.runtime.inbox import Captured, Inbox, Policy
from edge_sdk.runtime.log import log
from edge_sdk.runtime.metrics import StageClock
from edge_sdk.runtime.picture_check import PictureCheck
from edge_sdk.runtime.rate_cap import RateCap
from edge_sdk.runtime.sources import Frame, Source
from edge_sdk.runtime.tracker import Tracker

if TYPE_CHECKING:
    from collections.abc import Callable

STAGES = ("read", "wait", "letterbox", "inference", "postprocess", "track", "age", "sinks")
"""What is timed for a frame: reading it, waiting for the detector, the detector's own stages,
following its objects, from its capture until its result is handed over (its age), and what is
done with it then."""

STALLED = 3.0
"""Seconds without a frame, and without an error, after which a camera is called stalled."""


class Camera:
    """Reads one source in a thread of its own, and finds it again where it is lost.

    Attributes
    ----------
    number, name : which one it is, and what it is called in every report.
    source, policy : what is read, and what happens to frames that nobody has time for.
    clock : how long its frames took, see `STAGES`.
    picture : whether the picture is frozen or black.
    tracker : follows its objects; None where nobody asked for that.
    connects : how often frames began to come.
    trouble : why none come at present, or None.
    error : what ended it for good, or None.
    ended : nothing more will come.
    complete : it ended by itself.
    """

    def __init__(
        self, number: int, name: str, source: Source, policy: Policy,
        tracker: Tracker | None = None,
    ) -> None:  # fmt: skip
        self.number, self.name, self.source, self.policy = number, name, source, policy
        self.tracker = tracker
        source.skips = policy == "latest"
        self.clock = StageClock(STAGES)
        self.picture = PictureCheck()
        self.connects = 0
        self.trouble: str | None = None
        self.error: Exception | None = None
        self.ended = self.complete = False
        self._seen = perf_counter()
        self._waiting = False
        self._stalled = False
        self._cap = None if source.max_fps is None else RateCap(source.max_fps)
        self._first: float | None = None
        self._backoff = Backoff()

    @property
    def reconnects(self) -> int:
        """How often the source was lost and found again."""
        return max(0, self.connects - 1)

    @property
    def failed(self) -> bool:
        """Whether it ended with an error, or has given nothing but one."""
        return self.error is not None or (self.trouble is not None and not self.connects)

    @property
    def state(self) -> str:
        """One of starting, live, stalled, lost, frozen, black, ended and failed."""
        if self.error is not None:
            return "failed"
        if self.trouble is not None:
            return "lost"
        if self.ended:
            return "ended"
        if self._stalled:
            return "stalled"
        return (self.picture.fault or "live") if self.connects else "starting"

    def read(self, inbox: Inbox, stopping: threading.Event, on_trouble: Callable[[], bool]) -> None:
        """Bring frames to the inbox until there are no more, or the stream stops.

        `on_trouble` is called when the source fails, and tells whether to go on.
        """
        try:
            while not stopping.is_set():
                try:
                    self.complete = self._read_until_lost(inbox, stopping)
                    return
                except Exception as error:
                    first = self.trouble is None
                    self._lose(error)
                goes_on = on_trouble()
                if first and (goes_on or self.connects):  # else it is what the stream raises
                    log.warning("%s", self.trouble)
                if not goes_on or not self.source.live:
                    return
                stopping.wait(self._backoff.next())
        finally:
            self.source.close()
            self.ended = True
            inbox.end(self.number)

    def _lose(self, error: Exception) -> None:
        self.trouble = str(error) if isinstance(error, EdgeError) else words_of(error)
        if not self.source.live:
            self.error = error

    def _read_until_lost(self, inbox: Inbox, stopping: threading.Event) -> bool:
        """Return whether the source has ended, and was not stopped."""
        found = False
        with closing(iter(self.source)) as frames:  # type: ignore[type-var]  # a generator
            start = perf_counter()
            for frame in frames:
                at = perf_counter()
                self.clock.add("read", at - start)
                if not found:
                    self._find(frame)
                    found = True
                self._look(frame, at)
                if self._cap is not None and self._cap(frame.timestamp, self.source.fps):
                    inbox.skip(self.number)
                elif not self._leave(frame, at - self.source.waited, inbox, stopping):
                    return False
                start = perf_counter()
        return True

    def _leave(self, frame: Frame, at: float, inbox: Inbox, stopping: threading.Event) -> bool:
        """Bring a frame to the inbox, when it is due; False once that is closed."""
        if self.policy == "latest" and not self.source.live:
            at = self._pace(frame, at, stopping)
        self._waiting = True
        goes_on = inbox.put(Captured(frame, self.number, at))
        self._waiting = False
        return goes_on

    def _look(self, frame: Frame, at: float) -> None:
        """Notice that the camera lives, and what it shows."""
        self._seen, self._stalled = at, False
        if self.source.live:
            before = self.picture.fault
            fault = self.picture(frame.image, at)
            if fault != before:
                log.warning("%s: the picture is %s", self.name, fault or "as it should be again")

    def _find(self, frame: Frame) -> None:
        """Frames come, for the first time or again."""
        self._check_region(frame)
        self.connects += 1
        if self.trouble is not None:
            log.warning("%s is back", self.name)
        self.trouble, self._stalled = None, False
        self._backoff.reset()

    def _check_region(self, frame: Frame) -> None:
        region, (height, width) = self.source.region, frame.image.shape[:2]
        if region is not None and (region.left >= width or region.top >= height):
            raise EdgeError(
                f"{self.name}: the region {tuple(region)} lies outside its {width} x {height} "
                "pixels."
            )

    def _pace(self, frame: Frame, at: float, stopping: threading.Event) -> float:
        """Play a file in the place of a camera at its own rate; return when the frame was due."""
        if self._first is None:
            self._first = at
        stopping.wait(max(0.0, self._first + frame.timestamp - at))
        return perf_counter()

    def watch(self, now: float) -> None:
        """Notice a source that gives nothing and says nothing; called now and then."""
        quiet = now - self._seen
        if quiet < max(STALLED, 10 / self.source.fps) or self._waiting or self.ended:
            return
        if not self._stalled and self.trouble is None:
            self._stalled = True
            log.warning("%s is stalled: no frame for %.0f s", self.name, quiet)

    def remarks(self, captured: int) -> list[str]:
        """Return what was odd, one sentence each."""
        found = []
        name, frames = self.name, self.source.frames
        if self.error is not None:
            found.append(f"{name} failed: {self.trouble}".rstrip("."))
        elif self.failed:
            found.append(f"{name} gave nothing: {self.trouble}".rstrip("."))
        elif self.trouble is not None:
            found.append(f"{name} was lost at the end: {self.trouble}".rstrip("."))
        elif self.complete and frames is not None and captured < 0.9 * frames:
            found.append(
                f"{name} says that it has {frames} frames and gave {captured}: it may be damaged"
            )
        for count, what in (
            (self.reconnects, "was lost and found again"),
            (self.source.damaged, "gave damaged pictures, which were left out,"),
            (self.picture.frozen, "was frozen"),
            (self.picture.black, "was black"),
        ):
            if count:
                found.append(f"{name} {what} {count} {'time' if count == 1 else 'times'}")
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return how the camera is, as plain values."""
        return {
            "state": self.state,
            "reconnects": self.reconnects,
            "damaged": self.source.damaged,
            "skipped": self.source.skipped,
            "frozen": self.picture.frozen,
            "black": self.picture.black,
            "trouble": self.trouble,
            **({} if self.tracker is None else {"objects": self.tracker.objects}),
        }
