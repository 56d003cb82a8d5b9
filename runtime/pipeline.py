"""Cameras, a detector and whoever looks at the results, each in a thread of its own.

    cameras (one thread each) -> inbox -> detector (one thread) -> results -> the caller

The caller's own thread consumes: it is the one that windows need and that Ctrl-C reaches.
Every queue is bounded, so that a slow consumer slows the detector, and a slow detector
either makes its cameras wait or misses frames and counts them.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sdk.detections import Detections
from edge_sdk.errors import EdgeError
from edge_sdk.runtime.detector import Detector, StageTimes
from edge_sdk.runtime.inbox import POLICIES, Captured, Counts, Inbox, Policy
from edge_sdk.runtime.metrics import Percentiles, StageClock
from edge_sdk.runtime.sinks import Sink, open_sink
from edge_sdk.runtime.sources import Frame, Source, open_source
from edge_sdk.runtime.stats_file import StatsFile

STAGES = ("read", "wait", "letterbox", "inference", "postprocess", "age", "sinks")
"""What is timed for a frame: reading it, waiting for the detector, the detector's own stages,
from its capture until its result is handed over (its age), and what is done with it then."""

RESULTS = 4
"""Results that may wait for the consumer."""

PATIENCE = 2.0
"""Seconds to wait at the end for a source that hangs; its thread dies with the program."""


@dataclass(frozen=True)
class Result:
    """What was found on a frame.

    Attributes
    ----------
    frame : the picture and where it comes from.
    detections : boxes in pixels of `frame.image`.
    times : of the detector's stages.
    age : seconds from capture until the result was handed over.
    """

    frame: Frame
    detections: Detections
    times: StageTimes
    age: float

    @cached_property
    def annotated(self) -> npt.NDArray[np.uint8]:
        """A copy of the picture with the detections drawn, made once for all sinks."""
        return self.detections.draw(self.frame.image.copy())


@dataclass(frozen=True)
class Summary:
    """What a stream did.

    Attributes
    ----------
    seconds : from the start to the end.
    fps : results a second, between the first and the last; 0 where there are fewer than two.
    counts : camera -> what became of its frames.
    stages : stage -> percentiles in milliseconds, see `STAGES`.
    remarks : what was odd, one sentence each.
    """

    seconds: float
    fps: float
    counts: dict[str, Counts]
    stages: dict[str, Percentiles]
    remarks: tuple[str, ...] = ()

    @property
    def delivered(self) -> int:
        """Results handed over, of all cameras."""
        return sum(counts.delivered for counts in self.counts.values())

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON; stages without a sample are left out."""
        return {
            "seconds": round(self.seconds, 3),
            "fps": round(self.fps, 3),
            "counts": {name: asdict(counts) for name, counts in self.counts.items()},
            "stages_ms": {
                name: {key: round(value, 3) for key, value in stage._asdict().items()}
                for name, stage in self.stages.items()
                if stage.n
            },
            "remarks": list(self.remarks),
        }


class Pipeline:
    """Iterate over it once to stream; leave the loop, or call `stop`, to end.

    Parameters
    ----------
    detector : stays open and is the caller's to close.
    sources : are closed at the end.
    policy : "latest" or "every" for all sources; None means latest for live ones and every
        for files. Under "latest" a file plays at its own rate, in place of a camera.
    duration : seconds after which to stop.
    max_frames : results after which to stop.

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
        duration: float | None = None,
        max_frames: int | None = None,
    ) -> None:
        if not sources:
            raise EdgeError("There is nothing to stream: give at least one source.")
        if policy not in (None, *POLICIES):
            raise EdgeError(f"Unknown policy {policy!r}: give one of {', '.join(POLICIES)}.")
        for name, limit in (("duration", duration), ("max_frames", max_frames)):
            if limit is not None and not limit > 0:
                raise EdgeError(f"{name} is {limit}: give more than zero.")
        self.clock = StageClock(STAGES)
        self._detector = detector
        self._sources = sources
        self._policies: list[Policy] = [
            policy or ("latest" if source.live else "every") for source in sources
        ]
        self._duration = duration
        self._max_frames = max_frames
        self._inbox = Inbox(self._policies)
        self._results: queue.Queue[tuple[Captured, Detections, StageTimes] | None] = queue.Queue(
            RESULTS
        )
        self._stopping = threading.Event()
        self._error: BaseException | None = None
        self._remarks: list[str] = []
        self._timer: threading.Timer | None = None
        self._detecting: threading.Thread | None = None
        self._reading: list[threading.Thread] = []
        self._start = self._end = self._first = self._last = 0.0

    def __iter__(self) -> Iterator[Result]:
        """Stream.

        Raises
        ------
        EdgeError
            What a source or the detector raised; what was found before comes first.
        """
        self._begin()
        try:
            while (item := self._results.get()) is not None:
                yield self._deliver(*item)
        finally:
            self.close()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """End the stream soon; any thread may call this, any number of times."""
        self._stopping.set()
        self._inbox.close()

    def close(self) -> None:
        """Stop, and wait until the threads and sources have let go."""
        self.stop()
        if self._timer is not None:
            self._timer.cancel()
        patience = perf_counter() + PATIENCE
        while (
            (self._detecting is not None and self._detecting.is_alive())
            or (any(thread.is_alive() for thread in self._reading) and perf_counter() < patience)
            or not self._results.empty()
        ):
            self._discard_result()
        self._end = self._end or perf_counter()

    def _discard_result(self) -> None:
        try:
            item = self._results.get(timeout=0.02)
        except queue.Empty:
            return
        if item is not None:
            self._inbox.counts[item[0].camera].unread += 1

    def _begin(self) -> None:
        if self._detecting is not None:
            raise EdgeError("This Pipeline has run: make another.")
        self._start = perf_counter()
        self._detecting = threading.Thread(target=self._detect, name="detector", daemon=True)
        self._reading = [
            threading.Thread(target=self._read, args=(camera,), name=source.name, daemon=True)
            for camera, source in enumerate(self._sources)
        ]
        for thread in (self._detecting, *self._reading):
            thread.start()
        if self._duration is not None:
            self._timer = threading.Timer(self._duration, self.stop)
            self._timer.daemon = True
            self._timer.start()

    def _read(self, camera: int) -> None:
        """Bring the frames of one source to the inbox, at the source's own rate if need be."""
        source = self._sources[camera]
        paced = self._policies[camera] == "latest" and not source.live
        first = None
        try:
            frames = iter(source)
            start = perf_counter()
            while (frame := next(frames, None)) is not None:
                at = perf_counter()
                self.clock.add("read", at - start)
                first = first or at
                if paced and not self._stopping.wait(max(0.0, first + frame.timestamp - at)):
                    at = perf_counter()
                if not self._inbox.put(Captured(frame, camera, at)):
                    return
                start = perf_counter()
            self._check_end(camera)
        except BaseException as error:
            self._fail(error)
        finally:
            source.close()
            self._inbox.end(camera)

    def _check_end(self, camera: int) -> None:
        """Remark on a source that ended long before it said it would."""
        source, captured = self._sources[camera], self._inbox.counts[camera].captured
        if source.frames is not None and captured < 0.9 * source.frames:
            self._remarks.append(
                f"{source.name} says that it has {source.frames} frames and gave {captured}: "
                "it may be damaged"
            )

    def _detect(self) -> None:
        done = 0
        try:
            while done != self._max_frames and (item := self._inbox.take()) is not None:
                self.clock.add("wait", perf_counter() - item.at)
                try:
                    detections, times = self._detector.timed(item.frame.image)
                except BaseException:
                    self._inbox.counts[item.camera].unread += 1
                    raise
                for stage, seconds in times._asdict().items():
                    self.clock.add(stage, seconds)
                self._results.put((item, detections, times))
                done += 1
        except BaseException as error:
            self._fail(error)
        finally:
            self.stop()
            self._results.put(None)

    def _fail(self, error: BaseException) -> None:
        """End the stream; the first failure is the one to tell."""
        self._error = self._error or error
        self.stop()

    def _deliver(self, item: Captured, detections: Detections, times: StageTimes) -> Result:
        now = perf_counter()
        self._inbox.counts[item.camera].delivered += 1
        self._first, self._last = self._first or now, now
        self.clock.add("age", now - item.at)
        return Result(item.frame, detections, times, now - item.at)

    def summary(self, since: dict[str, int] | None = None) -> Summary:
        """Return the figures so far, or of the whole stream once it has ended.

        Stages count from a mark of `clock` if one is given.
        """
        counts = self._inbox.counts
        delivered, span = sum(count.delivered for count in counts), self._last - self._first
        return Summary(
            (self._end or perf_counter()) - self._start,
            (delivered - 1) / span if span else 0.0,
            dict(zip(_distinct([source.name for source in self._sources]), counts, strict=True)),
            self.clock.summary(since),
            tuple(self._remarks),
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


def stream(
    model: Detector | Path | str,
    sources: str | Path | Source | Sequence[str | Path | Source],
    *,
    sinks: Sequence[str | Path | Sink] = (),
    policy: Policy | None = None,
    duration: float | None = None,
    max_frames: int | None = None,
    stats: Path | str | None = None,
    **settings: Any,
) -> Summary:
    """Stream frames through a detector into sinks until the frames, or the patience, end.

    Parameters
    ----------
    model : a detector, which stays open, or what `Detector` opens, with `settings`.
    sources : one or several, open or as URIs.
    sinks : URIs (see `open_sink`), or anything to call with each `Result`; one that returns
        False ends the stream.
    policy, duration, max_frames : see `Pipeline`.
    stats : a file for one line of JSON a second, and a last one with the whole summary.

    Returns
    -------
    Summary
        Also where Ctrl-C ended the stream; every sink has been closed by then.

    Raises
    ------
    EdgeError
        If something cannot be opened, or a source, the detector or a sink fails.
    """
    if isinstance(sources, (str, Path, Source)):
        sources = [sources]
    with ExitStack() as stack:
        detector = model
        if not isinstance(detector, Detector):
            detector = stack.enter_context(Detector(detector, **settings))
        opened = [
            stack.enter_context(s if isinstance(s, Source) else open_source(s)) for s in sources
        ]
        consumers = [
            sink if callable(sink) else stack.enter_context(closing(open_sink(sink)))
            for sink in sinks
        ]
        pipeline = Pipeline(
            detector, opened, policy=policy, duration=duration, max_frames=max_frames
        )
        if stats is not None:
            consumers.append(stack.enter_context(closing(StatsFile(stats, pipeline))))
        stack.callback(pipeline.close)
        with suppress(KeyboardInterrupt):
            for result in pipeline:
                start = perf_counter()
                answers = [consume(result) for consume in consumers]
                pipeline.clock.add("sinks", perf_counter() - start)
                if any(answer is False for answer in answers):
                    break
    return pipeline.summary()


def _distinct(names: list[str]) -> list[str]:
    """Number the names that occur more than once."""
    return [
        name if names.count(name) == 1 else f"{name} ({number})"
        for number, name in enumerate(names, 1)
    ]
