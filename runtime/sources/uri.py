"""The grammar of sources: a place, and options after a question mark.

0                              the first webcam; 0?size=1280x720&fps=30
/dev/video0                    the same by its device
clip.mp4, file:///clip.mp4     a video file
photo.jpg, folder, *.jpg       pictures, in the order of their names; folder?fps=2
test://street?seed=0           the test camera
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from edge_sdk.errors import EdgeError


@dataclass(frozen=True)
class SourceUri:
    """A source's URI in its parts.

    Attributes
    ----------
    text : as it was given.
    scheme : what stands before "://", or "" for a bare place.
    place : path, device, or name.
    options : what stands after the question mark.
    """

    text: str
    scheme: str
    place: str
    options: dict[str, str]

    def read_options(self, known: Mapping[str, Callable[[str], Any]]) -> dict[str, Any]:
        """Return the options that were given, each through its reader in `known`.

        Raises
        ------
        EdgeError
            If an option is unknown, or its reader refuses the value with ValueError.
        """
        values = {}
        for name, text in self.options.items():
            if name not in known:
                raise EdgeError(
                    f"{self.text}: unknown option {name!r}; known here: "
                    f"{', '.join(known) or 'none'}."
                )
            try:
                values[name] = known[name](text)
            except ValueError as error:
                raise EdgeError(f"{self.text}: option {name!r} cannot be {text!r}.") from error
        return values


def parse_uri(text: str) -> SourceUri:
    """Take a source's URI apart."""
    if os.path.exists(text):
        return SourceUri(text, "", text, {})
    place, mark, query = text.rpartition("?")
    if not mark or "=" not in query:  # the question mark of a glob
        place, query = text, ""
    scheme, colon, rest = place.rpartition("://")
    if scheme == "file":
        rest = unquote(rest)
    return SourceUri(
        text, scheme, rest if colon else place, dict(parse_qsl(query, keep_blank_values=True))
    )


def positive(text: str) -> float:
    """Read a number above zero."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError(text)
    return value


def size(text: str) -> tuple[int, int]:
    """Read WIDTHxHEIGHT as (height, width)."""
    width, height = map(int, text.lower().split("x"))
    if width < 1 or height < 1:
        raise ValueError(text)
    return height, width
