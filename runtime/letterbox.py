"""Letterbox: from a camera's frame to the network's input, in one pass over the pixels."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import EdgeError
from edge_sdk.head_spec import Preprocessing
from edge_sdk.runtime.kernels import Letterboxer

ELEMENTS = {"float32": 0, "float16": 1, "int8": 2, "uint8": 3}
"""What the kernels call the types of the network's input."""
_LARGEST_SIDE = 65535


@dataclass(frozen=True)
class Placement:
    """Where the picture lies in the network's input.

    Attributes
    ----------
    scale : pixels of the input a pixel of the frame.
    left, top : the picture's corner, in pixels of the input.
    """

    scale: float
    left: int
    top: int

    def to_frame(self, boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Map boxes [N, 4] (x1, y1, x2, y2) from pixels of the input to pixels of the frame."""
        corner = np.array([self.left, self.top, self.left, self.top], np.float32)
        return (boxes - corner) / np.float32(self.scale)


def fit(
    preprocessing: Preprocessing, input_size: tuple[int, int], frame_size: tuple[int, int]
) -> tuple[Placement, int, int]:
    """Return where a frame lies in the network's input, and its picture's rows and columns there.

    Parameters
    ----------
    preprocessing : how the network wants its input.
    input_size : (height, width) of the input in pixels.
    frame_size : (height, width) of the frame in pixels.

    Raises
    ------
    EdgeError
        If the frame has a side of no or more than 65535 pixels.
    """
    height, width = frame_size
    if not (0 < height <= _LARGEST_SIDE and 0 < width <= _LARGEST_SIDE):
        raise EdgeError(
            f"A frame of {width} x {height} pixels cannot be used: its sides must be "
            f"1..{_LARGEST_SIDE} pixels."
        )
    full_height, full_width = input_size
    margin = preprocessing.margin
    scale = min((full_height - margin) / height, (full_width - margin) / width)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    if preprocessing.placement == "top_left":
        return Placement(scale, 0, 0), rows, columns
    left, top = (full_width - columns) // 2, (full_height - rows) // 2
    return Placement(scale, left, top), rows, columns


class Letterbox:
    """Scales frames into the network's input, keeping their proportions.

    Bilinear with half-pixel centres, in fixed point (the error is below a twentieth of a step
    of 8 bits; floats are not rounded to steps). May be called from several threads at once:
    each has a workspace of its own, of a size that only `input_size` decides. The GIL is
    released meanwhile.

    Parameters
    ----------
    preprocessing : how the network wants its input.
    input_size : (height, width) of the input in pixels.

    Raises
    ------
    EdgeError
        If `preprocessing` or `input_size` cannot be met.
    """

    def __init__(self, preprocessing: Preprocessing, input_size: tuple[int, int]) -> None:
        check(preprocessing, input_size)
        self.preprocessing = preprocessing
        self.input_size = input_size
        self._local = threading.local()

    def placement(self, frame_size: tuple[int, int]) -> Placement:
        """Return where a frame of (height, width) lies in the input."""
        return fit(self.preprocessing, self.input_size, frame_size)[0]

    def __call__(self, frame: npt.NDArray[np.uint8], out: npt.NDArray[Any]) -> Placement:
        """Letterbox one frame.

        Parameters
        ----------
        frame : uint8 [h, w, 3], BGR. Rows may lie apart (a view of a larger frame); frames
            whose pixels are not contiguous are copied first.
        out : [3, H, W], C-contiguous, written in place. float32 and float16 take pixel values
            times `preprocessing.scale`, uint8 the values 0..255, int8 these less 128.

        Returns
        -------
        Where the picture lies in `out`.

        Raises
        ------
        EdgeError
            If an array is not as described, or the frame is empty.
        """
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
            raise EdgeError(
                f"A frame must be a non-empty uint8 array [height, width, 3] in BGR, not "
                f"{frame.dtype} {list(frame.shape)}."
            )
        element = ELEMENTS.get(out.dtype.name)
        if element is None or out.shape != (3, *self.input_size):
            raise EdgeError(
                f"The network's input must be float32, float16, int8 or uint8 "
                f"{[3, *self.input_size]}, not {out.dtype} {list(out.shape)}."
            )
        if not (out.flags.c_contiguous and out.flags.writeable):
            raise EdgeError("The network's input must be a C-contiguous array that can be written.")
        if frame.strides[1:] != (3, 1):
            frame = np.ascontiguousarray(frame)
        height, width = frame.shape[:2]
        placement, rows, columns = fit(self.preprocessing, self.input_size, (height, width))
        kernel = self._kernel()
        if not kernel.fits(height, width):
            kernel.fit(height, width, placement.top, placement.left, rows, columns)
        wants = self.preprocessing
        kernel.run(
            frame, element, wants.channel_order == "rgb", wants.pad_value, wants.scale,
            out.reshape(-1).view(np.uint8),
        )  # fmt: skip
        return placement

    def _kernel(self) -> Any:
        """Return this thread's workspace."""
        try:
            return self._local.kernel
        except AttributeError:
            self._local.kernel = Letterboxer(*self.input_size)
            return self._local.kernel


def check(preprocessing: Preprocessing, input_size: tuple[int, int]) -> None:
    """Raise EdgeError if the preprocessing cannot be met for an input of (height, width)."""
    height, width = input_size
    if not (0 < height <= _LARGEST_SIDE and 0 < width <= _LARGEST_SIDE):
        raise EdgeError(
            f"The network's input size {height} x {width} cannot be used: its sides must be "
            f"1..{_LARGEST_SIDE} pixels."
        )
    if not 0 <= preprocessing.margin < min(height, width):
        raise EdgeError(
            f"The margin of the preprocessing ({preprocessing.margin}) must be at least 0 and "
            f"less than the sides of the network's input ({height} x {width})."
        )
    if not 0 <= preprocessing.pad_value <= 255:
        raise EdgeError(
            f"The pad value of the preprocessing ({preprocessing.pad_value}) must be 0..255."
        )
