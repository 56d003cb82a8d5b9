"""A running record of a stream, for those who watch it from outside."""

from __future__ import annotations

import json
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from edge_sdk.runtime.line_file import LineFile
from edge_sdk.runtime.machine import clocks, temperatures

if TYPE_CHECKING:
    from edge_sdk.runtime.pipeline import Pipeline

EVERY = 1.0
"""Seconds between lines."""


class StatsFile:
    """JSON lines: one a second about the time since the last, and at the end one with everything.

    Each holds `seconds` since the start, `fps`, `counts` (since the start), `stages_ms` and
    `cameras`, `temperatures` (degrees Celsius) and `clocks` (MHz), where the kernel tells them;
    the last one also `"final": true`. Lines also come while no frames do. `address` may divide the
    file (see `FileSeries`).
    """

    def __init__(self, address: Path | str, pipeline: Pipeline) -> None:
        self.name = str(address)
        self._file = LineFile(address)
        self._pipeline = pipeline
        self._delivered = 0
        self._mark = pipeline.mark()
        self._since = perf_counter()

    def tick(self) -> None:
        """Write a line if it is time."""
        elapsed = perf_counter() - self._since
        if elapsed < EVERY:
            return
        mark = self._pipeline.mark()
        summary = self._pipeline.summary(since=self._mark)
        fps = (summary.delivered - self._delivered) / elapsed
        machine = {"temperatures": temperatures(), "clocks": clocks()}
        line = {**summary.to_dict(), "fps": round(fps, 3), **machine}
        self._file.write(json.dumps(line))
        self._delivered, self._mark, self._since = summary.delivered, mark, perf_counter()

    def close(self) -> None:
        """Write the last line."""
        try:
            self._file.write(json.dumps({**self._pipeline.summary().to_dict(), "final": True}))
        finally:
            self._file.close()
