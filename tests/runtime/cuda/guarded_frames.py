"""Letterbox frames, on the host, that begin or end where memory may not be read.

Forbidden pages catch reads far outside; reads of 16 bytes are compared with the frame's ends too.

    guarded_frames.py FOLDER

FOLDER holds kernels compiled for the host. Prints how many frames there were; a kernel that reads
outside a frame ends the process.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

import emulated_cuda

from edge_sdk.head_spec import Preprocessing
from edge_sdk.runtime.cuda.frame import DeviceFrame
from edge_sdk.runtime.cuda.kernels import letterbox

INPUT = (40, 132)
SIZES = [(1, 1), (2, 3), (5, 130), (30, 99), (64, 200), (50, 521), (12, 1001)]


def guarded(size: int, at_end: bool) -> tuple[int, mmap.mmap]:
    """Return the address of `size` bytes right before, or right behind, a forbidden page."""
    page = mmap.PAGESIZE
    middle = -(-size // page) * page
    memory = mmap.mmap(-1, middle + 2 * page)
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    for forbidden in (base, base + page + middle):
        if protect(ctypes.c_void_p(forbidden), ctypes.c_size_t(page), 0):
            raise OSError(ctypes.get_errno(), "mprotect")
    return base + page + (middle - size if at_end else 0), memory


def main(folder: Path) -> None:
    letterbox.Module = functools.partial(emulated_cuda.EmulatedModule, folder=folder)
    kernel = letterbox.CudaLetterbox(Preprocessing(), INPUT, "uint8")
    readable = kernel._module._library.emulate_readable
    out = np.zeros((3, *INPUT), np.uint8)
    count = 0
    for height, width in SIZES:
        for pixels in ("bgr", "rgb", "nv12", "yuyv"):
            for gap in (0, 3):
                pair = (width + 1) // 2
                row = {"nv12": 2 * pair, "yuyv": 4 * pair}.get(pixels, 3 * width)
                rows = height + (height + 1) // 2 if pixels == "nv12" else height
                for at_end in (False, True):
                    pitch = row + gap * {"nv12": 2, "yuyv": 4}.get(pixels, 1)
                    size = (rows - 1) * pitch + row
                    address, memory = guarded(size, at_end)
                    frame = DeviceFrame(address, height, width, pitch, pixels)
                    readable(ctypes.c_void_p(address), ctypes.c_size_t(size))
                    kernel([frame], out.ctypes.data, 0)
                    count += memory is not None
    print(count)


main(Path(sys.argv[1]))
