"""The size of an image, as it is after reading, from its header where that suffices.

JPEG: the start-of-frame segment holds height and width; an EXIF segment before it may turn the
picture by a quarter (orientations 5 to 8), which swaps them. PNG: the IHDR chunk. Any other
file is decoded.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from edge_sdk.errors import EdgeError

_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ORIENTATION = 0x0112


def image_size(path: Path) -> tuple[int, int]:
    """Return (height, width) of what `read_image(path)` returns.

    Raises
    ------
    EdgeError
        If the file cannot be opened or is no image.
    """
    try:
        with open(path, "rb") as file:
            size = _from_header(file)
    except OSError as error:
        raise EdgeError(f"Cannot read {path}: {error.strerror}.") from error
    except struct.error:
        size = None
    if size is None or min(size) < 1:
        from edge_sdk.images import read_image

        height, width = read_image(path).shape[:2]
        return height, width
    return size


def _from_header(file: BinaryIO) -> tuple[int, int] | None:
    start = file.read(26)
    if start[:2] == b"\xff\xd8":
        return _jpeg(file)
    if start[:8] == b"\x89PNG\r\n\x1a\n" and b"eXIf" not in file.read(1 << 16):
        width, height = struct.unpack(">II", start[16:24])
        return height, width
    return None


def _jpeg(file: BinaryIO) -> tuple[int, int] | None:
    file.seek(2)
    turned = False
    while True:
        marker, code = struct.unpack(">BB", file.read(2))
        if marker != 0xFF or code == 0xFF:
            return None
        (length,) = struct.unpack(">H", file.read(2))
        segment = file.read(length - 2)
        if code == 0xE1 and segment[:6] == b"Exif\0\0":
            turned = _orientation(segment[6:]) >= 5
        if code in _START_OF_FRAME:
            height, width = struct.unpack(">HH", segment[1:5])
            return (width, height) if turned else (height, width)


def _orientation(tiff: bytes) -> int:
    """Return the orientation (1 to 8) of the first directory of an EXIF block."""
    order = "<" if tiff[:2] == b"II" else ">"
    (offset,) = struct.unpack(order + "I", tiff[4:8])
    (entries,) = struct.unpack(order + "H", tiff[offset : offset + 2])
    for index in range(entries):
        entry = tiff[offset + 2 + 12 * index :][:12]
        tag, _, _, value = struct.unpack(order + "HHIH2x", entry)
        if tag == _ORIENTATION:
            return int(value)
    return 1
