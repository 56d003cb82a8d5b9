"""One file a kind of sink, opened through one function."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from edge_sdk.errors import EdgeError
from edge_sdk.runtime.sources.uri import parse_uri, redacted_uri

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
    uri : a video file to write (`.mp4`, `.mkv` or `.avi`, with boxes drawn; see
        `video_file.VideoFile`), a file for JSON lines (`.jsonl`), both with
        `?every=SECONDS&keep=N` for the newest N files (see `file_series`), an `http://` or
        `https://` URL to post JSON to, `mqtt://HOST:PORT/TOPIC`, `shm://NAME` (see
        `shared_ring.RingReader`; cameras of different sizes need one each), or "window".

    Raises
    ------
    EdgeError
        If it is none of these, or cannot be opened.
    MissingExtra
        If OpenCV or paho-mqtt is needed and not installed.
    """
    scheme, colon, rest = str(uri).partition("://")
    if colon:
        return _open_url(scheme, rest, str(uri))
    suffix = Path(parse_uri(str(uri)).place).suffix.lower()
    if suffix in (".mp4", ".mkv", ".avi"):
        from edge_sdk.runtime.sinks.video_file import VideoFile

        return VideoFile(uri)
    if suffix == ".jsonl":
        from edge_sdk.runtime.sinks.json_lines import JsonLines

        return JsonLines(uri)
    if str(uri) == "window":
        from edge_sdk.runtime.sinks.window import Window

        return Window()
    raise _unknown(str(uri))


def _open_url(scheme: str, rest: str, uri: str) -> OpenSink:
    if scheme in ("http", "https"):
        from edge_sdk.runtime.sinks.webhook import Webhook

        return Webhook(uri)
    if scheme in ("mqtt", "mqtts"):
        from edge_sdk.runtime.sinks.mqtt import Mqtt

        return Mqtt(uri)
    if scheme == "shm":
        from edge_sdk.runtime.sinks.shared_ring import SharedRing

        return SharedRing(rest)
    raise _unknown(uri)


def _unknown(uri: str) -> EdgeError:
    return EdgeError(
        f"Unknown sink {redacted_uri(uri)!r}: give a video file (.mp4, .mkv, .avi), a .jsonl file, "
        "http://, mqtt://HOST/TOPIC, shm://NAME or 'window'."
    )
