"""The grammar of sources: a place, and options after a question mark.

0                              the first webcam; 0?size=1280x720&fps=30
/dev/video0                    the same by its device
clip.mp4, file:///clip.mp4     a video file; ?loop=3, ?loop=forever, ?decoder=nvdec
photo.jpg, folder, *.jpg       pictures, in the order of their names; folder?fps=2&loop=2
rtsp://user:word@host/path     a network camera; ?transport=udp&latency=200&timeout=5&decoder=nvdec
http://host/video.mjpg         MJPEG or HLS (.m3u8); ?timeout=5&decoder=software. https:// too
csi://0                        a camera on the board's own connector; ?size=1280x720&fps=30
gst://PIPELINE                 what gst-launch-1.0 takes, up to and without the sink
test://street?seed=0           the test camera

All of them also take max_fps=N, more frames than which are not looked at, and
roi=LEFT,TOP,WIDTH,HEIGHT, the pixels to look at. `latency` is in milliseconds, `timeout` in
seconds without a frame, and `decoder` one of auto, software, nvdec, vaapi, v4l2 and gstreamer
(see `edge_sdk.runtime.sources.decoders`). Of rtsp and http, options that are not named here are
the camera's.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

from edge_sdk.errors import EdgeError


@dataclass(frozen=True)
class Reader:
    """Reads the value of an option, and refuses it with ValueError.

    Attributes
    ----------
    values : what it takes, for people.
    """

    values: str
    read: Callable[[str], Any]

    def __call__(self, text: str) -> Any:
        """Return the value."""
        return self.read(text)


def reads(values: str) -> Callable[[Callable[[str], Any]], Reader]:
    """Make a function the reader of an option."""
    return lambda read: Reader(values, read)


Options = Mapping[str, Reader]
"""Name of an option -> what reads its value."""

HIDDEN = "***"
_USER = re.compile(r"(?<=://)[^\s?]*@")
_ODD_USER = re.compile(r"(?<=://)\S*@")  # a password with a question mark in it
_WHOLE_USER = re.compile(r"(?s)(?:(?<=://)|^(?![\w.+-]+://)(?=[^/]*:|\w+:/)).*@")
_OPTION = re.compile(r"(?<![\w-])([\w-]+)\s*=\s*(?:\"[^\"]*\"|'[^']*'|['\"].*|[^&\s'\"][^&\s]*)")
_SECRET = re.compile(r"(?i)pass|pwd|pw$|user|login|account|token|secret|key|auth|sig|session|code$")


@dataclass(frozen=True)
class SourceUri:
    """A source's URI in its parts. Printing one shows no password.

    Attributes
    ----------
    name : the URI without its credentials, for people and logs.
    scheme : what stands before "://", or "" for a bare place.
    place : path, device, or name; of a network camera with its user and password.
    query : what stands after the question mark.
    """

    name: str
    scheme: str
    place: str = field(repr=False)
    query: str = field(repr=False)

    @property
    def text(self) -> str:
        """The URI as it was given; may hold a password."""
        start = f"{self.scheme}://" if self.scheme else ""
        return f"{start}{self.place}{'?' * bool(self.query)}{self.query}"

    @property
    def options(self) -> dict[str, str]:
        """Name -> value of the options in the query."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    def read_options(self, known: Options) -> dict[str, Any]:
        """Return the options that were given, each through its reader in `known`.

        Raises
        ------
        EdgeError
            If an option is unknown, or its reader refuses the value with ValueError.
        """
        for name in self.options:
            if name not in known:
                raise EdgeError(
                    f"{self.name}: unknown option {name!r}; known here: "
                    f"{', '.join([*known, *SHARED_OPTIONS])}."
                )
        return self.take_options(known)[0]

    def take_options(self, known: Options) -> tuple[dict[str, Any], SourceUri]:
        """Return what is known, each through its reader, and the URI without it.

        Raises
        ------
        EdgeError
            If a reader refuses its value with ValueError.
        """
        values = {}
        for name, text in self.options.items():
            if name in known:
                try:
                    values[name] = known[name](text)
                except ValueError as error:
                    raise EdgeError(
                        f"{self.name}: option {name!r} cannot be {text!r}: give "
                        f"{known[name].values}."
                    ) from error
        others = (part for part in self.query.split("&") if part.partition("=")[0] not in known)
        return values, replace(self, query="&".join(others))


class Region(NamedTuple):
    """A rectangle of a frame, in pixels."""

    left: int
    top: int
    width: int
    height: int


def parse_uri(text: str) -> SourceUri:
    """Take a source's URI apart.

    Raises
    ------
    EdgeError
        If it holds a null character, which no path, host or program can.
    """
    name = redacted(text) if text.startswith(("gst:", "file:")) else redacted_uri(text)
    if "\0" in text:
        raise EdgeError(f"There is no source at {name[:200]!r}.")
    if os.path.exists(text):
        return SourceUri(redacted(text), "", text, "")
    place, mark, query = text.rpartition("?")
    in_pipeline = text.startswith("gst://") and re.search(r"[\s!]", query)
    if not mark or "=" not in query or in_pipeline:  # or the question mark of a glob
        place, query = text, ""
    scheme, colon, rest = place.partition("://")
    if not colon or not scheme.isalnum():
        scheme, rest = "", place
    return SourceUri(name, scheme, unquote(rest) if scheme == "file" else rest, query)


def redacted(text: str) -> str:
    """Return a text without the credentials of the URLs and options in it.

    What stands before an @ goes altogether, even where a password holds a slash, a colon or
    an @ of its own; so does the value of every option whose name speaks of one.
    """
    text = _OPTION.sub(_hide, _USER.sub(f"{HIDDEN}@", text))
    return _ODD_USER.sub(f"{HIDDEN}@", text)


def redacted_uri(text: str) -> str:
    """Return a text that is one URI, however badly written, without its credentials.

    All before the last @ goes, as nobody can tell where a password ends.
    """
    return _WHOLE_USER.sub(f"{HIDDEN}@", _OPTION.sub(_hide, text))


def _hide(option: re.Match[str]) -> str:
    return f"{option[1]}={HIDDEN}" if _SECRET.search(option[1]) else option[0]


@reads("a number above 0")
def positive(text: str) -> float:
    """Read a number above zero."""
    value = float(text)
    if not 0 < value < math.inf:
        raise ValueError(text)
    return value


@reads("WIDTHxHEIGHT")
def size(text: str) -> tuple[int, int]:
    """Read WIDTHxHEIGHT as (height, width)."""
    width, height = map(int, text.lower().split("x"))
    if width < 1 or height < 1:
        raise ValueError(text)
    return height, width


@reads("a whole number from 1 on, or forever")
def loop(text: str) -> int | None:
    """Read how often to play a file: once or more, or "forever" (None)."""
    if text == "forever":
        return None
    times = int(text)
    if times < 1:
        raise ValueError(text)
    return times


@reads("tcp or udp")
def transport(text: str) -> str:
    """Read the transport of RTSP."""
    if text not in ("tcp", "udp"):
        raise ValueError(text)
    return text


@reads("LEFT,TOP,WIDTH,HEIGHT in pixels")
def region(text: str) -> Region:
    """Read LEFT,TOP,WIDTH,HEIGHT in pixels."""
    left, top, width, height = map(int, text.split(","))
    if min(left, top) < 0 or min(width, height) < 1:
        raise ValueError(text)
    return Region(left, top, width, height)


SHARED_OPTIONS: Options = {"max_fps": positive, "roi": region}
"""Options that every kind of source has."""
