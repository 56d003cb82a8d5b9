"""Detections as text, one line of JSON a frame."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from edge_sdk.errors import EdgeError

if TYPE_CHECKING:
    from edge_sdk.runtime.result import Result


class JsonLines:
    """Lines with `source`, `index`, `timestamp` (seconds), `captured` (seconds since 1970),
    `age_ms`, `missed` (frames dropped since the source's last line) and `detections`.

    The file is written as it goes, line by line, so that others can follow it.
    """

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        try:
            self._file = open(path, "w", buffering=1, encoding="utf-8")  # noqa: SIM115
        except OSError as error:
            raise EdgeError(f"Cannot write {path}: {error.strerror}.") from error

    def __call__(self, result: Result) -> None:
        """Write a line."""
        frame = result.frame
        line = {
            "source": frame.source.name,
            "index": frame.index,
            "timestamp": round(frame.timestamp, 4),
            "captured": round(result.captured, 3),
            "age_ms": round(result.age * 1e3, 2),
            "missed": result.missed,
            "detections": result.detections.to_dicts(),
        }
        self._file.write(json.dumps(line) + "\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()
