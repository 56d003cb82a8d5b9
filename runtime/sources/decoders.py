"""Who decodes video: a chip of this machine's where there is one, else the CPU.

software    FFmpeg on the CPU
nvdec       an NVIDIA GPU's decoder, through FFmpeg
vaapi       an Intel or AMD GPU's, through FFmpeg, where PyAV was built with it
v4l2        a Raspberry Pi's and other boards', through FFmpeg
gstreamer   whatever GStreamer ranks first: a Jetson's; of network cameras only

Pictures come to main memory as from the CPU's decoder. Where a chip refuses, the CPU decodes, and
the log says so. GStreamer runs as a program, so other users of the machine can see the URL that it
is given, with a password in it: such cameras are decoded by it only if they ask for it.
"""

from __future__ import annotations

import ctypes.util
import re
import shutil
import subprocess
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sdk.runtime.log import log
from edge_sdk.runtime.sources.uri import reads

SOFTWARE, GSTREAMER = "software", "gstreamer"

DEVICES = {"nvdec": "cuda", "vaapi": "vaapi"}
"""Decoder -> what FFmpeg calls the device."""

V4L2 = "{codec}_v4l2m2m"
"""What FFmpeg calls the decoders of V4L2."""

CHIPS = ("nvdec", GSTREAMER, "vaapi", "v4l2")
"""In the order of trying."""

JETSON = "nvv4l2decoder"
"""The GStreamer element that a Jetson decodes with."""


@reads(f"auto, {SOFTWARE}, {', '.join(CHIPS[:-1])} or {CHIPS[-1]}")
def decoder(text: str) -> str:
    """Read the name of a decoder, or auto."""
    if text not in ("auto", SOFTWARE, *CHIPS):
        raise ValueError(text)
    return text


def hardware_decoders() -> list[str]:
    """Name the chips that this machine seems to have, best first; no library is loaded."""
    tests: dict[str, Callable[[], object]] = {
        "nvdec": lambda: Path("/dev/nvidiactl").exists() and ctypes.util.find_library("nvcuvid"),
        GSTREAMER: lambda: has_element(JETSON),
        "vaapi": lambda: any(Path("/dev/dri").glob("renderD*")),
        "v4l2": lambda: any(
            re.search(r"(?i)decode|dec$", name.read_text())
            for name in Path("/sys/class/video4linux").glob("*/name")
        ),
    }
    return [chip for chip in CHIPS if tests[chip]()]


def has_element(name: str) -> bool:
    """Tell whether GStreamer has an element."""
    inspect = shutil.which("gst-inspect-1.0")
    if inspect is None:
        return False
    return subprocess.run([inspect, "--exists", name], check=False).returncode == 0


def choose(wanted: str, name: str, without: str = "") -> str:
    """Return the decoder for a source: the wanted one, or the best but one where that is "auto".

    Software where it does not work here; the log says so.
    """
    if wanted == SOFTWARE:
        return SOFTWARE
    chips = hardware_decoders() if wanted == "auto" else [wanted]
    for chip in chips:
        if chip == without:
            continue
        reason = "" if chip == GSTREAMER else trouble(chip)
        if not reason:
            return chip
        log.warning("%s: %s does not decode here (%s): the CPU does", name, chip, reason)
    return SOFTWARE


@lru_cache
def trouble(chip: str) -> str:
    """Say why FFmpeg cannot use a chip; nothing if it can."""
    import av
    from av.codec.hwaccel import hwdevices_available

    if DEVICES.get(chip, "") not in ("", *hwdevices_available()):
        return "PyAV was built without it"
    try:
        if chip in DEVICES:
            av.CodecContext.create("h264", "r", hwaccel=accelerator(chip))
        else:
            av.CodecContext.create(V4L2.format(codec="h264"), "r").open()
    except Exception as error:  # PyAV's share no base class
        return _words(error)
    return ""


def accelerator(chip: str) -> Any:
    """Return what `av.open` takes for a decoder; None where it takes nothing."""
    if chip not in DEVICES:
        return None
    from av.codec.hwaccel import HWAccel

    return HWAccel(DEVICES[chip], allow_software_fallback=True)


class StreamDecoder:
    """Decodes the packets of one stream; the CPU goes on where a chip fails.

    Parameters
    ----------
    stream : PyAV's, of a container that was opened with `accelerator(chip)`.
    chip : as `choose` returned it.
    name : of the source, for the log.
    options : FFmpeg's, for the CPU's decoder.

    Attributes
    ----------
    chip : who decodes at present.
    """

    def __init__(self, stream: Any, chip: str, name: str, options: dict[str, str]) -> None:
        import av

        self.chip = chip
        self._av, self._stream, self._name, self._options = av, stream, name, options
        self._context = stream.codec_context
        self._context.options = options
        try:
            if chip == "v4l2":
                self._context = self._context_of(V4L2.format(codec=self._context.name))
            elif chip in DEVICES and not self._context.is_hwaccel:
                self._give_up(f"not made for {self._context.name}")
        except (av.FFmpegError, ValueError) as error:
            self._give_up(_words(error))

    def __call__(self, packet: Any) -> list[Any] | None:
        """Return the frames of a packet; None if it is damaged.

        Raises
        ------
        av.FFmpegError
            If the CPU's decoder fails.
        """
        try:
            frames: list[Any] = self._context.decode(packet)
        except self._av.InvalidDataError:
            return None
        except self._av.FFmpegError as error:
            if self.chip == SOFTWARE:
                raise
            self._give_up(_words(error))
            return self(packet)
        return frames

    def _give_up(self, reason: str) -> None:
        log.warning("%s: %s fails (%s): the CPU decodes", self._name, self.chip, reason)
        self.chip = SOFTWARE
        self._context = self._context_of(self._stream.codec_context.name)
        self._context.options = self._options

    def _context_of(self, codec: str) -> Any:
        own, context = self._stream.codec_context, self._av.CodecContext.create(codec, "r")
        context.extradata = own.extradata
        context.width, context.height = own.width, own.height
        return context


def picture(frame: Any) -> npt.NDArray[np.uint8]:
    """Return PyAV's frame as BGR uint8 [H, W, 3], converted in this thread.

    It takes a fraction of a millisecond; threads of its own, which PyAV makes for every frame,
    have to wait for those of the detector.
    """
    image: npt.NDArray[np.uint8] = frame.to_ndarray(format="bgr24", **_one_thread())
    return image


@lru_cache
def _one_thread() -> dict[str, int]:
    """Return what keeps PyAV from making threads; before version 17 it makes none."""
    import av

    return {"threads": 1} if int(av.__version__.partition(".")[0]) >= 17 else {}


def _words(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__).lower()
