"""Cameras, a detector and whoever looks at the results, each in a thread of its own.

    cameras (one thread each) -> inbox -> detector (its own threads) -> results -> the caller

The caller's own thread consumes: it is the one that windows need and that Ctrl-C reaches.
Every queue is bounded, so that a slow consumer slows the detector, and a slow detector
either makes its cameras wait or misses frames and counts them. Under "latest" a frame is taken
only when there is room for its result, and not when a newer one is about to come (`arrivals`):
what is handed over is never older than it must be.

Cameras take turns, a frame at a time, and frames of several are never put into one batch: a camera
would wait for another's frame, and on a CPU a batch saves nothing to wait for (an image of a
batch of four costs 2 % less in OpenVINO and 3 % more in ONNX Runtime; `benchmarks/streaming.py
batching`). `Detector(parallel=N)` looks at the frames of N cameras at a time. A pipeline has one
model; several run as a pipeline each, or, on the same camera's frames, the others in a sink.

Faults stay where they happen. A camera that is lost is tried again, a frame whose inference
fails is counted, a sink that raises is told about; the others go on. The stream itself ends
with an error only if no camera gives anything, or the detector fails again and again.
"""

from __future__ import annotations

import queue
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter, time
from types import TracebackType
from typing import Any

from edge_sdk.detections import Detections
from edge_sdk.errors import EdgeError
from edge_sdk.runtime.camera import STAGES, Camera
from edge_sdk.runtime.detector import Detector, StageTimes
from edge_sdk.runtime.faults import Faults, words_of
from edge_sdk.runtime.inbox import POLICIES, Captured, Inbox, Policy
from edge_sdk.runtime.log import log
from edge_sdk.runtime.metrics import Snapshot, together
from edge_sdk.runtime.result import Result
from edge_sdk.runtime.sinks import Sink
from edge_sdk.runtime.sources import Source
from edge_sdk.runtime.sources.uri import redacted
from edge_sdk.runtime.summary import Summary, rounded
from edge_sdk.runtime.tracker import WEAK, Tracker

AHEAD = 3
"""Results that may wait for the consumer where every frame counts."""

PATIENCE = 0.5
"""Seconds to wait at the end for a source that hangs; its thread dies with the program."""

FAILURES = 10
"""Inferences that fail one after the other until the stream gives up."""

WATCH = 0.25
"""Seconds between the rounds of the watchdog."""

SLOW = 10.0
"""Seconds after which the watchdog speaks of an inference or a sink that has not returned."""


Mark = list[dict[str, Snapshot]]
"""The durations so far, camera by camera; what `Pipeline.summary` can count from."""


class Pipeline:
    """Iterate over it once to stream; leave the loop, or call `stop`, to end.

    Or let it feed sinks: `run` in this thread, `start` in one of its own.

    Parameters
    ----------
    detector : stays open and is the caller's to close.
    sources : are closed at the end; those of the same name are numbered.
    policy : "latest" or "every" for all sources; None means latest for live ones and every
        for files. Under "latest" a file plays at its own rate, in place of a camera.
    max_staleness : milliseconds; what is older is counted and not handed over.
    duration : seconds after which to stop.
    max_frames : results after which to stop.
    track : follow objects from frame to frame, each camera's by itself (see `Tracker`): results
        hold those whose object is known, with its number in `Detections.track_ids`.

    Examples
    --------
    >>> with Detector("street.edge") as detector:  # doctest: +SKIP
    ...     for result in Pipeline(detector, [open_source("0")]):
    ...         print(result.frame.index, len(result.detections))
    """

    def __init__(
        self,
        detector: Detector,
        sources: Sequence[Source],
        *,
        policy: Policy | None = None,
        max_staleness: float | None = None,
        duration: float | None = None,
        max_frames: int | None = None,
        track: bool = False,
    ) -> None:
        if not sources:
            raise EdgeError("There is nothing to stream: give at least one source.")
        if len({id(source) for source in sources}) < len(sources):
            raise EdgeError("A source is given twice: open it twice, once for each place.")
        if policy not in (None, *POLICIES):
            raise EdgeError(f"Unknown policy {policy!r}: give one of {', '.join(POLICIES)}.")
        limits = {"duration": duration, "max_frames": max_frames, "max_staleness": max_staleness}
        for name, limit in limits.items():
            if limit is not None and not limit > 0:
                raise EdgeError(f"{name} is {limit}: give more than zero.")
        policies: list[Policy] = [
            policy or ("latest" if source.live else "every") for source in sources
        ]
        names = _distinct([source.name for source in sources])
        for source, name in zip(sources, names, strict=True):
            source.name = name  # what sinks tell is as distinct as what the summary does
        self.cameras = [
            Camera(number, *each, Tracker(detector.score) if track else None)
            for number, each in enumerate(zip(names, sources, policies, strict=True))
        ]
        self._look_for = (min(WEAK, detector.score),) if track else ()
        self._detector = detector
        self._duration = duration
        self._max_frames = max_frames
        self._max_age = None if max_staleness is None else max_staleness / 1e3
        self._inbox = Inbox(policies, self._max_age)
        ahead = 0 if "latest" in policies else AHEAD
        self._room = threading.Semaphore(detector.parallel + ahead)
        self._results: queue.SimpleQueue[_Outcome | None] = queue.SimpleQueue()
        self._early: dict[int, _Outcome] = {}
        self._stopping = threading.Event()
        self._error: Exception | None = None
        self._failed_in_a_row = 0
        self._inference_faults = Faults()
        self._sinks: Sequence[Sink] = ()
        self._sink_faults: defaultdict[str, Faults] = defaultdict(Faults)
        self._observers: list[Callable[[], Any]] = []
        self._reading: list[threading.Thread] = []
        self._detecting: list[threading.Thread] = []
        self._helping: list[threading.Thread] = []
        self._background: threading.Thread | None = None
        self._busy: dict[str, float] = {}
        self._last_index = [-1] * len(sources)
        self._start = self._end = self._first = self._last = 0.0

    def __iter__(self) -> Iterator[Result]:
        """Stream.

        Raises
        ------
        EdgeError
            If no source gives anything, or the detector fails again and again; what was found
            before comes first.
        """
        self._begin()
        delivered = 0
        try:
            for outcome in self._in_order():
                result = self._deliver(outcome)
                if result is not None:
                    yield result
                    delivered += 1
                    if delivered == self._max_frames:
                        break
        finally:
            self.close()
        errors = [camera.error for camera in self.cameras if camera.error is not None]
        if self._error is None and len(errors) == len(self.cameras):
            self._error = errors[0]
        if self._error is not None:
            raise self._error

    def run(self, sinks: Sequence[Sink] = ()) -> Summary:
        """Stream into sinks, in this thread; a sink that returns False ends the stream.

        A sink that raises is told about, and called again with the next result.
        """
        self._sinks = sinks
        for result in self:
            start = perf_counter()
            answers = [self._attempt(sink, sink, result) for sink in sinks]
            self.cameras[self._number(result)].clock.add("sinks", perf_counter() - start)
            if any(answer is False for answer in answers):
                break
        return self.summary()

    def start(self, sinks: Sequence[Sink] = ()) -> None:
        """Stream into sinks in a thread of its own, until `stop` or the end; see `wait`."""
        if self._background is not None:
            raise EdgeError("This Pipeline has been started: make another.")
        self._background = threading.Thread(
            target=self._run_quietly, args=(sinks,), name="pipeline", daemon=True
        )
        self._background.start()

    def _run_quietly(self, sinks: Sequence[Sink]) -> None:
        with suppress(Exception):  # `wait` raises it
            self.run(sinks)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until a stream that `start` began has ended; False if `timeout` seconds do first.

        Raises
        ------
        EdgeError
            What ended the stream, as iterating over it raises.
        """
        if self._background is None:
            raise EdgeError("This Pipeline has not been started.")
        self._background.join(timeout)
        if self._background.is_alive():
            return False
        if self._error is not None:
            raise self._error
        return True

    def pause(self) -> None:
        """Look at no frames for now: cameras stay connected and are counted, files wait."""
        self._inbox.pause(True)

    def resume(self) -> None:
        """Go on after `pause`, with the newest frames."""
        self._inbox.pause(False)

    def stop(self) -> None:
        """End the stream soon; any thread may call this, any number of times."""
        self._stopping.set()
        self._inbox.close()
        for _ in range(self._detector.parallel):
            self._room.release()

    def close(self) -> None:
        """Stop, and wait until the threads and sources have let go."""
        self.stop()
        for camera in self.cameras:
            if camera.source.live:  # one that waits for a frame may let go at once
                camera.source.close()
        patience = perf_counter() + PATIENCE
        while any(thread.is_alive() for thread in self._detecting):
            self._collect_results(0.02)
        self._collect_results(0)
        while self._early:
            outcome = self._early.popitem()[1]
            if outcome.found is not None:
                self._inbox.drop(outcome.item, "unread")
        for thread in (*self._reading, *self._helping):
            thread.join(max(0.0, patience - perf_counter()))
        self._end = self._end or perf_counter()

    def _collect_results(self, timeout: float) -> None:
        with suppress(queue.Empty):
            while True:
                outcome = self._results.get(timeout > 0, timeout)
                if outcome is not None:
                    self._early[outcome.item.ticket] = outcome

    def _begin(self) -> None:
        if self._start:
            raise EdgeError("This Pipeline has run: make another.")
        self._start = perf_counter()
        self._alive = self._detector.parallel
        self._lock = threading.Lock()
        self._detecting = [
            _thread(f"detector {number}", self._detect, number)
            for number in range(self._detector.parallel)
        ]
        self._reading = [
            _thread(camera.name, camera.read, self._inbox, self._stopping, self._has_hope)
            for camera in self.cameras
        ]
        self._helping = [_thread("watchdog", self._watch)]
        if self._duration is not None:
            self._helping.append(_thread("timer", self._end_in_time))
        for thread in (*self._detecting, *self._reading, *self._helping):
            thread.start()

    def _end_in_time(self) -> None:
        if not self._stopping.wait(self._duration):
            self.stop()

    def _detect(self, number: int) -> None:
        """Look at frames; one of the detector's threads."""
        try:
            while self._room.acquire() and (item := self._inbox.take()) is not None:
                self._busy[f"inference {number}"] = perf_counter()
                self._results.put(_Outcome(item, self._look(item)))
                self._busy.pop(f"inference {number}", None)
        finally:
            with self._lock:
                self._alive -= 1
                last = not self._alive
            if last:
                self.stop()
                self._results.put(None)

    def _look(self, item: Captured) -> tuple[Detections, StageTimes] | None:
        """Return what the detector says of a frame; None if it fails."""
        region, image = self.cameras[item.camera].source.region, item.frame.image
        try:
            if region is None:
                found = self._detector.timed(image, *self._look_for)
            else:
                left, top, width, height = region
                part = image[top : top + height, left : left + width]
                found = self._detector.timed(part, *self._look_for)
                found = found[0].shifted(left, top), found[1]
            self._failed_in_a_row = 0
            return found
        except Exception as error:
            self._inbox.drop(item, "failed")
            self._failed_in_a_row += 1
            words = redacted(str(error)).rstrip(".")
            if self._inference_faults.add(words):
                log.warning("Inference fails: %s", words)
            if self._failed_in_a_row >= FAILURES:
                self._fail(error)
            return None

    def _has_hope(self) -> bool:
        """Tell whether any camera has given, or may yet give, a frame; else end the stream."""
        if any(camera.connects or camera.trouble is None for camera in self.cameras):
            return True
        self._fail(EdgeError(str(self.cameras[0].trouble)))
        return False

    def _fail(self, error: Exception) -> None:
        """End the stream; the first failure is the one to tell."""
        self._error = self._error or error
        self.stop()

    def _in_order(self) -> Iterator[_Outcome]:
        """Yield outcomes as their frames were taken, whichever thread was the first."""
        ticket = 0
        while (outcome := self._results.get()) is not None:
            self._early[outcome.item.ticket] = outcome
            while ticket in self._early:
                self._room.release()
                yield self._early.pop(ticket)
                ticket += 1

    def _deliver(self, outcome: _Outcome) -> Result | None:
        """Return the result, counted; None where there is none, or it is too old."""
        item = outcome.item
        if outcome.found is None:
            return None
        start = perf_counter()
        if self._max_age is not None and start - item.at > self._max_age:
            self._inbox.drop(item, "stale")
            return None
        camera, (detections, times) = self.cameras[item.camera], outcome.found
        clock, now = camera.clock, start
        if camera.tracker is not None:
            detections = camera.tracker(detections, item.frame.timestamp)
            now = perf_counter()
            clock.add("track", now - start)
        self._inbox.deliver(item)
        self._first, self._last = self._first or now, now
        age, wait = now - item.at, item.taken - item.at
        for stage, seconds in zip(
            ("wait", *times._fields, "age"), (wait, *times, age), strict=True
        ):
            clock.add(stage, seconds)
        missed = item.frame.index - self._last_index[item.camera] - 1
        self._last_index[item.camera] = item.frame.index
        return Result(item.frame, detections, times, age, wait, time() - age, missed)

    def _number(self, result: Result) -> int:
        for camera in self.cameras:
            if camera.source is result.frame.source:
                return camera.number
        raise LookupError(result.frame.source.name)

    def finish(self, close: Callable[[], Any]) -> None:
        """Call a sink's `close`; what it raises stays here, and is told in the summary."""
        self._attempt(close, close)

    def _attempt(self, whose: Any, action: Callable[..., Any], *arguments: Any) -> Any:
        """Call a sink or an observer; what it raises stays here, is counted, and told once."""
        name = _name_of(whose)
        self._busy[name] = perf_counter()
        try:
            return action(*arguments)
        except Exception as error:
            words = words_of(error)
            if self._sink_faults[name].add(words):
                log.warning("%s fails: %s", name, words, exc_info=_traceback_of(error))
            return None
        finally:
            self._busy.pop(name, None)

    def observe(self, observer: Callable[[], Any]) -> None:
        """Let a function be called four times a second while the stream runs."""
        self._observers.append(observer)

    def _watch(self) -> None:
        """The watchdog: notices what stands still, and calls the observers."""
        told: set[str] = set()
        while not self._stopping.wait(WATCH):
            now = perf_counter()
            for camera in self.cameras:
                camera.watch(now)
            slow = {name for name, since in list(self._busy.items()) if now - since > SLOW}
            for name in slow - told:
                log.warning("%s has not returned for %.0f s", name, SLOW)
            told = slow
            for observer in list(self._observers):
                self._attempt(observer, observer)

    def sink_counts(self) -> dict[str, tuple[int, int]]:
        """Return sink (or observer) -> how often it failed, and the results that it lost."""
        lost = {_name_of(sink): int(getattr(sink, "lost", 0)) for sink in self._sinks}
        failed = {name: faults.count for name, faults in list(self._sink_faults.items())}
        return {name: (failed.get(name, 0), lost.get(name, 0)) for name in {**lost, **failed}}

    def mark(self) -> Mark:
        """Return the durations so far, for `summary` to count from."""
        return [camera.clock.snapshot() for camera in self.cameras]

    def summary(self, since: Mark | None = None) -> Summary:
        """Return the figures so far, or of the whole stream once it has ended.

        Stages count from a mark if one is given.
        """
        counts = self._inbox.counts
        delivered, span = sum(count.delivered for count in counts), self._last - self._first
        times = self.mark()
        if since is not None:
            times = [
                {stage: snapshot.since(mark[stage]) for stage, snapshot in now.items()}
                for now, mark in zip(times, since, strict=True)
            ]
        cameras = {
            camera.name: {**camera.to_dict(), "age_ms": rounded(clock["age"].percentiles())}
            for camera, clock in zip(self.cameras, times, strict=True)
        }
        remarks = [
            (camera, remark)
            for camera, count in zip(self.cameras, counts, strict=True)
            for remark in camera.remarks(count.captured)
        ]
        failures = [remark for camera, remark in remarks if camera.failed]
        if lost := sum(count.failed for count in counts):
            failures.append(f"{lost} inferences failed: {self._inference_faults}")
        failures += [
            f"{name} failed {faults.count} {'time' if faults.count == 1 else 'times'}: {faults}"
            for name, faults in list(self._sink_faults.items())
        ]
        complaints = (getattr(sink, "complaint", None) for sink in self._sinks)
        failures += [words for words in complaints if words]
        return Summary(
            (self._end or perf_counter()) - self._start,
            (delivered - 1) / span if span else 0.0,
            dict(zip(cameras, counts, strict=True)),
            {stage: together(each[stage] for each in times).percentiles() for stage in STAGES},
            cameras,
            tuple(failures),
            tuple(remark for camera, remark in remarks if not camera.failed),
        )

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


@dataclass(slots=True)
class _Outcome:
    """A frame, and what the detector said of it; None if it failed."""

    item: Captured
    found: tuple[Detections, StageTimes] | None


def _thread(name: str, target: Callable[..., Any], *arguments: Any) -> threading.Thread:
    return threading.Thread(target=target, args=arguments, name=name, daemon=True)


def _name_of(sink: Any) -> str:
    """Return what to call a sink, or an observer, in a report."""
    owner = getattr(sink, "__self__", sink)
    name = getattr(owner, "name", None) or getattr(sink, "__qualname__", None)
    return str(name or type(sink).__name__)


def _traceback_of(error: Exception) -> Exception | None:
    """Return an error that is a program's own mistake, to be told with its traceback."""
    return None if isinstance(error, (EdgeError, OSError)) else error


def _distinct(names: list[str]) -> list[str]:
    """Number the names that occur more than once, again if need be."""
    while len(set(names)) < len(names):
        names = [
            name if names.count(name) == 1 else f"{name} ({number})"
            for number, name in enumerate(names, 1)
        ]
    return names
