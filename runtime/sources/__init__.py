"""One file a kind of source, opened through one function."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from edge_sdk.errors import EdgeError, MissingExtra
from edge_sdk.runtime.sources.decoders import (
    GSTREAMER,
    SOFTWARE,
    choose,
    decoder,
    hardware_decoders,
)
from edge_sdk.runtime.sources.pictures import PictureSource, is_picture
from edge_sdk.runtime.sources.source import Frame, Source
from edge_sdk.runtime.sources.uri import (
    SHARED_OPTIONS,
    Options,
    SourceUri,
    loop,
    parse_uri,
    positive,
    size,
    transport,
)

__all__ = ["Frame", "Source", "open_source"]

_CAMERA: Options = {"size": size, "fps": positive}
_HTTP: Options = {"timeout": positive, "decoder": decoder}
_RTSP: Options = {"transport": transport, "latency": positive, **_HTTP}
_NETWORK: dict[str, Options] = {"rtsp": _RTSP, "rtsps": _RTSP, "http": _HTTP, "https": _HTTP}
_FILE: Options = {"fps": positive, "loop": loop, "decoder": decoder}


def open_source(uri: str | Path) -> Source:
    """Open a source of frames; `edge_sdk.runtime.sources.uri` has the grammar.

    Live sources are not connected yet: reading them does that.

    Raises
    ------
    EdgeError
        If the URI is malformed, or nothing can be read there.
    MissingExtra
        If OpenCV or PyAV is needed and not installed.
    """
    shared, parts = parse_uri(str(uri)).take_options(SHARED_OPTIONS)
    source = _open(parts)
    source.name = parts.name
    source.max_fps, source.region = shared.get("max_fps"), shared.get("roi")
    return source


def _open(parts: SourceUri) -> Source:
    scheme = parts.scheme
    if scheme == "test":
        from edge_sdk.runtime.sources.street_camera import StreetCamera

        return StreetCamera(parts.text)
    if scheme in _NETWORK:
        return _open_network(parts)
    if scheme in ("gst", "csi"):
        return _open_gstreamer(parts)
    if scheme not in ("", "file"):
        raise EdgeError(
            f"Sources of the kind {scheme}:// are not supported: give a file, a folder or glob "
            "of pictures, the number of a camera, /dev/videoN, rtsp://, http://, csi://0, "
            "gst://PIPELINE or test://street."
        )
    if camera := re.fullmatch(r"(?:/dev/video)?(\d+)", parts.place):
        from edge_sdk.runtime.sources.webcam import WebcamSource

        return WebcamSource(parts.name, int(camera[1]), **parts.read_options(_CAMERA))
    return _open_path(parts)


def _open_network(parts: SourceUri) -> Source:
    """Take our options from the query and leave the camera its own."""
    from edge_sdk.runtime.sources.network import NetworkSource

    options, url = parts.take_options(_NETWORK[parts.scheme])
    if _by_gstreamer(options.get("decoder", "auto"), parts):
        from edge_sdk.runtime.sources.gstreamer import TIMEOUT, GStreamerSource, rtsp_pipeline

        pipeline = rtsp_pipeline(url.text, options.get("transport"), options.get("latency"))
        return GStreamerSource(parts.name, pipeline, timeout=options.get("timeout", TIMEOUT))
    return NetworkSource(parts.name, url.text, **options)


def _by_gstreamer(wanted: str, parts: SourceUri) -> bool:
    """Tell whether GStreamer reads a camera: asked for, or the best and no password is shown."""
    rtsp = parts.scheme.startswith("rtsp")
    if wanted == GSTREAMER and not rtsp:
        raise EdgeError(f"{parts.name}: GStreamer reads rtsp:// here; else, write gst://PIPELINE.")
    if wanted != "auto" or not rtsp or "@" in parts.text:
        return wanted == GSTREAMER
    return hardware_decoders()[:1] == [GSTREAMER]


def _open_gstreamer(parts: SourceUri) -> Source:
    from edge_sdk.runtime.sources.gstreamer import GStreamerSource

    if parts.scheme == "gst":
        return GStreamerSource(parts.name, parts.text.removeprefix("gst://"))
    from edge_sdk.runtime.sources.csi import csi_pipeline

    if not re.fullmatch(r"\d{1,3}", parts.place):
        raise EdgeError(f"{parts.name}: a camera on the board is csi://NUMBER, such as csi://0.")
    options = parts.read_options(_CAMERA)
    pipeline = csi_pipeline(int(parts.place), options.get("size"), options.get("fps"))
    return GStreamerSource(parts.name, pipeline)


def _open_path(parts: SourceUri) -> Source:
    place, path = parts.place, Path(parts.place)
    # Not Path's own tests, which raise on names that are too long.
    if os.path.isdir(place):
        pictures = _pictures(path.iterdir())
    elif os.path.isfile(place) and not is_picture(path):
        return _open_video(parts, path)
    elif os.path.isfile(place):
        pictures = [path]
    elif glob.has_magic(place):
        pictures = _pictures(map(Path, glob.glob(place)))
    else:
        raise EdgeError(f"There is no source at {parts.name[:200]!r}.")
    options = parts.read_options({"fps": positive, "loop": loop})
    return PictureSource(parts.name, pictures, **options)


def _pictures(paths: Iterable[Path]) -> list[Path]:
    return sorted(path for path in paths if is_picture(path))


def _open_video(parts: SourceUri, path: Path) -> Source:
    from edge_sdk.runtime.sources.video import AvVideoSource

    options = parts.read_options(_FILE)
    wanted = options.pop("decoder", "auto")
    if wanted == GSTREAMER:
        raise EdgeError(f"{parts.name}: GStreamer reads rtsp:// here; else, write gst://PIPELINE.")
    chip = choose(wanted, parts.name, GSTREAMER)
    if chip == SOFTWARE:
        return _open_in_software(parts.name, path, options)
    return AvVideoSource(parts.name, path, chip, **options)


def _open_in_software(name: str, path: Path, options: dict[str, Any]) -> Source:
    """Open a video with OpenCV; what that cannot decode (AV1), with PyAV where it is installed."""
    from edge_sdk.runtime.sources.video import AvVideoSource, VideoSource

    try:
        return VideoSource(name, path, **options)
    except MissingExtra:
        raise
    except EdgeError:
        with suppress(ImportError, EdgeError):
            return AvVideoSource(name, path, SOFTWARE, **options)
        raise
