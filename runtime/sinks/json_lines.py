"""Detections as text, one line of JSON a frame."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from edge_sdk.runtime.line_file import LineFile
from edge_sdk.runtime.sinks.record import record

if TYPE_CHECKING:
    from edge_sdk.runtime.result import Result


class JsonLines:
    """Lines with what `record` tells of a result.

    The file is written as it goes, line by line, so that others can follow it; `address` may
    divide it (see `FileSeries`).
    """

    def __init__(self, address: Path | str) -> None:
        self.name = str(address)
        self._file = LineFile(address)

    def __call__(self, result: Result) -> None:
        """Write a line."""
        self._file.write(json.dumps(record(result)))

    def close(self) -> None:
        """Close the file."""
        self._file.close()
