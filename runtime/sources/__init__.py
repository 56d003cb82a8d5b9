"""One file a kind of source, opened through one function."""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path

from edge_sdk.errors import EdgeError
from edge_sdk.runtime.sources.pictures import PictureSource, is_picture
from edge_sdk.runtime.sources.source import Frame, Source
from edge_sdk.runtime.sources.uri import SourceUri, parse_uri, positive, size

__all__ = ["Frame", "Source", "open_source"]


def open_source(uri: str | Path) -> Source:
    """Open a source of frames; `edge_sdk.runtime.sources.uri` has the grammar.

    Raises
    ------
    EdgeError
        If the URI is malformed, or nothing can be read there.
    MissingExtra
        If OpenCV is needed and not installed.
    """
    parts = parse_uri(str(uri))
    if parts.scheme == "test":
        from edge_sdk.runtime.sources.street_camera import StreetCamera

        return StreetCamera(parts.text)
    if parts.scheme not in ("", "file"):
        raise EdgeError(
            f"Sources of the kind {parts.scheme}:// are not supported: give a file, a folder or "
            "glob of pictures, the number of a camera, /dev/videoN, or test://street."
        )
    if camera := re.fullmatch(r"(?:/dev/video)?(\d+)", parts.place):
        from edge_sdk.runtime.sources.webcam import WebcamSource

        options = parts.read_options({"size": size, "fps": positive})
        return WebcamSource(parts.text, int(camera[1]), **options)
    return _open_path(parts)


def _open_path(parts: SourceUri) -> Source:
    place, path = parts.place, Path(parts.place)
    # Not Path's own tests, which raise on names that are too long.
    if os.path.isdir(place):
        pictures = sorted(file for file in path.iterdir() if is_picture(file))
    elif os.path.isfile(place) and not is_picture(path):
        from edge_sdk.runtime.sources.video import VideoSource

        parts.read_options({})
        return VideoSource(parts.text, path)
    elif os.path.isfile(place):
        pictures = [path]
    elif glob.has_magic(place):
        pictures = sorted(file for file in map(Path, glob.glob(place)) if is_picture(file))
    else:
        raise EdgeError(f"There is no source at {place[:200]!r}.")
    return PictureSource(parts.text, pictures, **parts.read_options({"fps": positive}))
