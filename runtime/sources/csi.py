"""Cameras on a board's own connector: which GStreamer elements read them."""

from __future__ import annotations

from edge_sdk.errors import EdgeError
from edge_sdk.runtime.sources.decoders import has_element
from edge_sdk.runtime.sources.gstreamer import program

_CAPS = "width={width},height={height},framerate={fps}/1"

PIPELINES = {
    # A Jetson: the picture stays in the video engine's memory until it has been converted.
    "nvarguscamerasrc": "nvarguscamerasrc sensor-id={number} ! "
    f"video/x-raw(memory:NVMM),format=NV12,{_CAPS} ! nvvidconv ! video/x-raw,format=BGRx",
    # A Raspberry Pi and other boards with libcamera, which numbers no cameras but names them.
    "libcamerasrc": f"libcamerasrc ! video/x-raw,{_CAPS}",
}
"""Element -> the pipeline around it; the first that is installed is taken."""


def csi_pipeline(number: int, size: tuple[int, int] | None, fps: float | None) -> str:
    """Return the pipeline of camera `number`, at `size` (height, width), 1280 x 720 by default.

    Raises
    ------
    EdgeError
        If this machine has no element for such cameras.
    """
    program("gst-inspect-1.0")
    height, width = size or (720, 1280)
    for element, pipeline in PIPELINES.items():
        if has_element(element):
            return pipeline.format(number=number, width=width, height=height, fps=round(fps or 30))
    raise EdgeError(
        f"csi://{number}: this machine has none of the GStreamer elements "
        f"{', '.join(PIPELINES)}; if its camera has another, write 'gst://ELEMENT ! ...'."
    )
