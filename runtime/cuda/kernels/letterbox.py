"""Letterbox on the GPU: frames of any format into the network's input, one launch a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import EdgeError
from edge_sdk.head_spec import Preprocessing
from edge_sdk.runtime.cuda.frame import DeviceFrame
from edge_sdk.runtime.cuda.kernels.module import Module
from edge_sdk.runtime.letterbox import ELEMENTS, Placement, check, fit

MAX_IMAGES = 32
"""Frames that one launch takes."""

_LARGEST_CANVAS = 16384
_TILE, _ROWS, _LANES, _WARPS = 128, 16, 32, 4  # as letterbox.cu has them
_FORMATS = {"bgr": 0, "rgb": 1, "nv12": 2, "yuyv": 3}
_LUMA_SHARES = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}  # of red and blue

_COLOURS = ("black", "luma", "v_to_red", "u_to_green", "v_to_green", "u_to_blue")
_IMAGE = np.dtype(
    [
        ("pixels", np.uint64), ("chroma", np.uint64),
        ("pitch", np.int32), ("chroma_pitch", np.int32),
        ("height", np.int32), ("width", np.int32), ("top", np.int32), ("left", np.int32),
        ("rows", np.int32), ("columns", np.int32), ("format", np.int32),
        ("colours", [(name, np.int32) for name in _COLOURS]),
    ],
    align=True,
)  # fmt: skip
_CANVAS = np.dtype(
    [(name, np.int32) for name in ("height", "width", "element", "rgb", "pad")]
    + [("step", np.float32)],
    align=True,
)


class CudaLetterbox:
    """Scales frames on the GPU into the network's input, as `edge_sdk.runtime.letterbox` does.

    BGR and RGB give the same bits as on the CPU. NV12 and YUYV are interpolated as they are, each
    pixel with the colour of its block, and converted once. A context must be current in every call.

    Experimental: has not run on a GPU yet.

    Parameters
    ----------
    preprocessing : how the network wants its input.
    input_size : (height, width) of the input in pixels; the width a multiple of 4.
    dtype : of the input: float32 and float16 take pixel values times `preprocessing.scale`, uint8
        the values 0..255, int8 these less 128.

    Raises
    ------
    EdgeError
        If the input cannot be had, or the kernel cannot be compiled.
    """

    def __init__(
        self, preprocessing: Preprocessing, input_size: tuple[int, int], dtype: npt.DTypeLike
    ) -> None:
        check(preprocessing, input_size)
        kind = np.dtype(dtype)
        height, width = input_size
        if kind.name not in ELEMENTS:
            raise EdgeError(f"The network's input must be {', '.join(ELEMENTS)}, not {kind}.")
        if width % 4 or max(input_size) > _LARGEST_CANVAS:
            raise EdgeError(
                f"An input of {width} x {height} pixels cannot be filled on the GPU: its width "
                f"must be a multiple of 4 and its sides at most {_LARGEST_CANVAS}."
            )
        self.preprocessing = preprocessing
        self.input_size = input_size
        self._image_bytes = 3 * height * width * kind.itemsize
        step = np.float32(preprocessing.scale) / np.float32(128)
        self._canvas = np.array(
            (
                height, width, ELEMENTS[kind.name], preprocessing.channel_order == "rgb",
                preprocessing.pad_value, step,
            ),
            _CANVAS,
        )  # fmt: skip
        self._module = Module("letterbox")

    def __call__(self, frames: Sequence[DeviceFrame], out: int, stream: int) -> list[Placement]:
        """Letterbox a batch; returns before the GPU is through with it.

        Parameters
        ----------
        frames : on the GPU, of any sizes and formats; they must stay until the stream is through.
        out : address of the input [B, 3, H, W], aligned to 16 bytes.
        stream : handle of the stream to work in.

        Returns
        -------
        Where each picture lies in the input.

        Raises
        ------
        EdgeError
            If a frame is not one that can be read.
        """
        placements = []
        height, width = self.input_size
        tiles = -(-width // _TILE), -(-height // _ROWS)
        for first in range(0, len(frames), MAX_IMAGES):
            some = frames[first : first + MAX_IMAGES]
            images = np.zeros(MAX_IMAGES, _IMAGE)
            for place, frame in enumerate(some):
                images[place], placement = self._describe(frame)
                placements.append(placement)
            target = np.uint64(out + first * self._image_bytes)
            arguments = (images, self._canvas, target)
            grid, block = (*tiles, len(some)), (_LANES, _WARPS, 1)
            self._module.launch("letterbox", grid, block, arguments, stream)
        return placements

    def _describe(self, frame: DeviceFrame) -> tuple[tuple[Any, ...], Placement]:
        """Return a frame as the kernel wants it described, and where its picture goes."""
        size = (frame.height, frame.width)
        placement, rows, columns = fit(self.preprocessing, self.input_size, size)
        chroma, chroma_pitch = frame.address + frame.height * frame.pitch, frame.pitch
        if frame.pixels == "nv12" and frame.chroma is not None:
            chroma, chroma_pitch = frame.chroma, frame.chroma_pitch
        _check_memory(frame, chroma, chroma_pitch)
        described = (
            frame.address, chroma, frame.pitch, chroma_pitch, frame.height, frame.width,
            placement.top, placement.left, rows, columns, _FORMATS[frame.pixels],
            conversion(frame.colours, frame.full_range),
        )  # fmt: skip
        return described, placement

    def close(self) -> None:
        """Let go of the kernel."""
        self._module.close()


def conversion(colours: str, full_range: bool) -> tuple[int, ...]:
    """Return the conversion from Y, U, V to R, G, B: `Colours` of image.cuh.

    Parameters
    ----------
    colours : "bt601" or "bt709" (ITU-R BT.601, BT.709).
    full_range : whether Y and U, V go from 0 to 255; if not, from 16 to 235 and 16 to 240.
    """
    red, blue = _LUMA_SHARES[colours]
    green = 1.0 - red - blue
    luma, chroma, black = (1.0, 1.0, 0) if full_range else (255 / 219, 255 / 224, 16)
    from_v, from_u = 2 * chroma * (1 - red), 2 * chroma * (1 - blue)
    factors = (luma, from_v, -from_u * blue / green, -from_v * red / green, from_u)
    return (black << 7, *(round(factor * (1 << 14)) for factor in factors))


def _check_memory(frame: DeviceFrame, chroma: int, chroma_pitch: int) -> None:
    """Refuse rows that overlap, or units of several bytes that do not begin at multiples of them.

    Raises
    ------
    EdgeError
        If the frame's memory is so.
    """
    pairs = (frame.width + 1) // 2  # two pixels share their colours, also the last of odd ones
    planes = {
        "bgr": [(frame.address, frame.pitch, 3 * frame.width, 1)],
        "rgb": [(frame.address, frame.pitch, 3 * frame.width, 1)],
        "nv12": [
            (frame.address, frame.pitch, frame.width, 1),
            (chroma, chroma_pitch, 2 * pairs, 2),
        ],
        "yuyv": [(frame.address, frame.pitch, 4 * pairs, 4)],
    }[frame.pixels]
    for address, pitch, row, unit in planes:
        if not row <= pitch < 2**31:
            raise EdgeError(
                f"The rows of a {frame.pixels} frame of {frame.width} pixels take {row} bytes, and "
                f"the frame says that they lie {pitch} apart."
            )
        if address % unit or pitch % unit:
            raise EdgeError(
                f"The colours of a {frame.pixels} frame must lie at addresses that are multiples "
                f"of {unit}, and so must the distance of its rows ({pitch}): copy the frame first."
            )
