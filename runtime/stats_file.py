"""A running record of a stream, for those who watch it from outside."""

from __future__ import annotations

import json
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from edge_sdk.errors import EdgeError

if TYPE_CHECKING:
    from edge_sdk.runtime.pipeline import Pipeline, Result

EVERY = 1.0
"""Seconds between lines."""


class StatsFile:
    """JSON lines: one a second about the time since the last, and at the end one with everything.

    Each holds `seconds` since the start, `fps`, `counts` (since the start) and `stages_ms`;
    the last one also `"final": true`.
    """

    def __init__(self, path: Path | str, pipeline: Pipeline) -> None:
        try:
            self._file = open(path, "w", buffering=1, encoding="utf-8")  # noqa: SIM115
        except OSError as error:
            raise EdgeError(f"Cannot write {path}: {error.strerror}.") from error
        self._pipeline = pipeline
        self._results = 0
        self._mark = pipeline.clock.counts()
        self._since = perf_counter()

    def __call__(self, result: Result) -> None:
        """Count a result, and write a line if it is time."""
        self._results += 1
        elapsed = perf_counter() - self._since
        if elapsed < EVERY:
            return
        mark = self._pipeline.clock.counts()
        line = self._pipeline.summary(since=self._mark).to_dict()
        self._file.write(json.dumps({**line, "fps": round(self._results / elapsed, 3)}) + "\n")
        self._results, self._mark, self._since = 0, mark, perf_counter()

    def close(self) -> None:
        """Write the last line."""
        with self._file:
            self._file.write(
                json.dumps({**self._pipeline.summary().to_dict(), "final": True}) + "\n"
            )
