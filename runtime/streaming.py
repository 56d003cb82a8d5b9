"""From URIs to results: the pipeline with all that it needs opened and closed around it."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

from edge_sdk.errors import EdgeError
from edge_sdk.runtime.detector import Detector
from edge_sdk.runtime.file_series import FileSeries
from edge_sdk.runtime.inbox import Policy
from edge_sdk.runtime.log import log
from edge_sdk.runtime.pipeline import Pipeline
from edge_sdk.runtime.sinks import Sink, open_sink
from edge_sdk.runtime.sources import Source, open_source
from edge_sdk.runtime.stats_file import StatsFile
from edge_sdk.runtime.summary import Summary


def stream(
    model: Detector | Path | str,
    sources: str | Path | Source | Sequence[str | Path | Source],
    *,
    sinks: Sequence[str | Path | Sink] = (),
    policy: Policy | None = None,
    max_staleness: float | None = None,
    duration: float | None = None,
    max_frames: int | None = None,
    track: bool = False,
    stats: Path | str | None = None,
    serve: str | None = None,
    stop: threading.Event | None = None,
    **settings: Any,
) -> Summary:
    """Stream frames through a detector into sinks until the frames, or the patience, end.

    Parameters
    ----------
    model : a detector, which stays open, or what `Detector` opens, with `settings`.
    sources : one or several, open or as URIs.
    sinks : URIs (see `open_sink`), or anything to call with each `Result`; one that returns
        False ends the stream.
    policy, max_staleness, duration, max_frames, track : see `Pipeline`.
    stats : a file for one line of JSON a second, and a last one with the whole summary.
    serve : HOST:PORT of a live page for browsers, with metrics for Prometheus at /metrics; the
        log tells its address, also of port 0, which takes a free one.
    stop : ends the stream once it is set.

    Returns
    -------
    Summary
        Also where Ctrl-C ended the stream; every sink has been closed by then.

    Raises
    ------
    EdgeError
        If something cannot be opened, a file would be written over that a source reads, no
        source gives anything, or the detector fails again and again.
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
        for address in (*sinks, stats):
            if isinstance(address, (str, Path)):
                _spare(opened, address)
        pipeline = Pipeline(
            detector, opened, policy=policy, max_staleness=max_staleness, duration=duration,
            max_frames=max_frames, track=track,
        )  # fmt: skip
        consumers: list[Sink] = []
        for sink in sinks:
            if callable(sink):
                consumers.append(sink)
            else:
                consumers.append(own := open_sink(sink))
                stack.callback(pipeline.finish, own.close)
        if stats is not None:
            file = StatsFile(stats, pipeline)
            stack.callback(pipeline.finish, file.close)
            pipeline.observe(file.tick)
        if serve is not None:
            from edge_sdk.runtime.live_page import LivePage

            page = stack.enter_context(closing(LivePage(serve, pipeline)))
            log.info("Live page: %s", page.url)
            consumers.append(page)
        if stop is not None:
            pipeline.observe(lambda: pipeline.stop() if stop.is_set() else None)
        stack.callback(pipeline.close)
        with suppress(KeyboardInterrupt):
            pipeline.run(consumers)
    return pipeline.summary()


def _spare(sources: Sequence[Source], address: Path | str) -> None:
    """Refuse to write where a source reads, whatever links lead there."""
    if "://" in str(address):
        return
    read = {_identity(file) for source in sources for file in source.files}
    for path in FileSeries(address).replaced():
        if _identity(path) in read:
            raise EdgeError(
                f"Writing {address} would destroy {path}, which a source reads: write elsewhere."
            )


def _identity(path: Path) -> tuple[int, int] | Path:
    """Return what is the same for two names of a file; the path itself where there is none."""
    with suppress(OSError):
        about = os.stat(path)
        return about.st_dev, about.st_ino
    return path
