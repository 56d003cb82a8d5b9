"""One file a kind of sink, opened through one function."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from edge_sdk.errors import EdgeError

if TYPE_CHECKING:
    from edge_sdk.runtime.result import Result

__all__ = ["OpenSink", "Sink", "open_sink"]

Sink = Callable[["Result"], Any]
"""Anything to call with each result; returning False ends the stream."""


class OpenSink(Protocol):
    """A sink that holds something, and wants to be closed."""

    def __call__(self, result: Result, /) -> Any:
        """Take a result."""

    def close(self) -> None:
        """Finish what was begun."""


def open_sink(uri: str | Path) -> OpenSink:
    """Open a sink.

    Parameters
    ----------
    uri : a video file to write (`.mp4`, `.mkv` or `.avi`, with boxes drawn), a file for JSON
        lines (`.jsonl`), or "window".

    Raises
    ------
    EdgeError
        If it is none of these, or cannot be opened.
    MissingExtra
        If OpenCV is needed and not installed.
    """
    from edge_sdk.runtime.sinks.video_file import CODECS, VideoFile

    suffix = Path(uri).suffix.lower()
    if suffix in CODECS:
        return VideoFile(Path(uri))
    if suffix == ".jsonl":
        from edge_sdk.runtime.sinks.json_lines import JsonLines

        return JsonLines(Path(uri))
    if str(uri) == "window":
        from edge_sdk.runtime.sinks.window import Window

        return Window()
    raise EdgeError(
        f"Unknown sink {str(uri)!r}: give a video file ({', '.join(CODECS)}), a .jsonl file, "
        "or 'window'."
    )
