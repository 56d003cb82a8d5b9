"""Frames and detections for another process, through shared memory.

The writer never waits for readers: it goes round a few slots, and each holds a frame and what
was found on it. A reader looks at the newest slot, and takes what it read for good only if
the slot's number was the same before and after.
"""

from __future__ import annotations

import json
import mmap
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import EdgeError
from edge_sdk.runtime.sinks.record import record

if TYPE_CHECKING:
    from edge_sdk.runtime.result import Result

SLOTS = 4
TEXT = 1 << 16
"""Bytes of JSON in a slot; what does not fit comes without its last detections."""

_MAGIC = 0x45444745
_HEAD = 8
"""int64 at the start of the file: magic, slots, bytes of a picture, newest number, ended."""

_SLOT_HEAD = 8
"""int64 at the start of a slot: its number (0: being written), height, width, bytes of JSON."""


class SharedRing:
    """A sink that leaves each result in shared memory, for `RingReader`.

    Pictures are as large as the first one at most; larger ones raise. Several cameras can share a
    ring if their pictures have one size; else each is streamed to its own.

    Parameters
    ----------
    name : of the memory, as readers know it: letters, digits, dots, dashes.
    """

    def __init__(self, name: str) -> None:
        self._path = ring_path(name)
        self.name = f"shm://{name}"
        self._ring: _Ring | None = None
        self._number = 0

    def __call__(self, result: Result) -> None:
        """Copy a result into the next slot."""
        image = result.frame.image
        if self._ring is None:
            self._ring = _Ring.create(self._path, image.nbytes)
        self._number += 1
        self._ring.write(self._number, image, _text(record(result)))

    def close(self) -> None:
        """Tell readers that it is over, and remove the name; who has it open keeps it."""
        if self._ring is not None:
            self._ring.head[4] = 1
            self._path.unlink(missing_ok=True)
            self._ring = None


class RingReader:
    """The other end of a `SharedRing`, in whatever process.

    Raises
    ------
    EdgeError
        If there is no such ring.

    Examples
    --------
    >>> reader = RingReader("cameras")  # doctest: +SKIP
    >>> while (found := reader.next()) is not None:
    ...     image, record = found
    """

    def __init__(self, name: str) -> None:
        self._ring = _Ring.open(ring_path(name))
        self._seen = 0

    def next(self, timeout: float | None = None) -> tuple[npt.NDArray[np.uint8], Any] | None:
        """Wait for a result newer than the last, and return a copy of its picture and record.

        Returns None when the writer has ended, or `timeout` seconds are over.
        """
        deadline = None if timeout is None else monotonic() + timeout
        while deadline is None or monotonic() < deadline:
            number = int(self._ring.head[3])
            if number > self._seen and (found := self._ring.read(number)) is not None:
                self._seen = number
                return found
            if self._ring.head[4]:
                return None
            sleep(0.001)
        return None


class _Ring:
    def __init__(self, memory: mmap.mmap) -> None:
        whole = np.frombuffer(memory, np.uint8)
        self.head = whole[: 8 * _HEAD].view(np.int64)
        self._slots = int(self.head[1])
        self._picture = int(self.head[2])
        size = 8 * _SLOT_HEAD + TEXT + self._picture
        self._memory = [
            whole[8 * _HEAD + slot * size : 8 * _HEAD + (slot + 1) * size]
            for slot in range(self._slots)
        ]

    @classmethod
    def create(cls, path: Path, picture: int) -> _Ring:
        picture = -(-picture // 8) * 8
        size = 8 * _HEAD + SLOTS * (8 * _SLOT_HEAD + TEXT + picture)
        with suppress(FileNotFoundError):
            path.unlink()  # of a writer that was killed
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.ftruncate(descriptor, size)
            memory = mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)
        head = np.frombuffer(memory, np.int64, _HEAD)
        head[1:3] = SLOTS, picture
        head[0] = _MAGIC
        return cls(memory)

    @classmethod
    def open(cls, path: Path) -> _Ring:
        try:
            with open(path, "rb") as file:
                memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise EdgeError(f"There is no shared memory {path.name}: is the stream on?") from error
        head = np.frombuffer(memory, np.int64, _HEAD) if len(memory) >= 8 * _HEAD else [0]
        if head[0] != _MAGIC:
            raise EdgeError(f"The shared memory {path.name} was not written by a SharedRing.")
        return cls(memory)

    def _parts(self, number: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
        memory = self._memory[number % self._slots]
        return memory[: 8 * _SLOT_HEAD].view(np.int64), memory[8 * _SLOT_HEAD :]

    def write(self, number: int, image: npt.NDArray[np.uint8], text: bytes) -> None:
        if image.nbytes > self._picture:
            height, width = image.shape[:2]
            raise EdgeError(
                f"A picture of {width} x {height} is larger than the first, which the shared "
                "memory was made for: stream cameras of different sizes apart, each to a ring of "
                "its own."
            )
        about, body = self._parts(number)
        about[0] = 0
        about[1:4] = *image.shape[:2], len(text)
        body[: len(text)] = np.frombuffer(text, np.uint8)
        np.copyto(body[TEXT : TEXT + image.nbytes].reshape(image.shape), image)
        about[0] = number
        self.head[3] = number

    def read(self, number: int) -> tuple[npt.NDArray[np.uint8], Any] | None:
        """Return picture and record; None if the slot was written meanwhile."""
        about, body = self._parts(number)
        before, height, width, length = about[:4].tolist()
        if before != number or not 0 <= length <= TEXT or height * width * 3 > self._picture:
            return None
        text = bytes(body[:length])
        image = body[TEXT : TEXT + height * width * 3].reshape(height, width, 3).copy()
        return (image, json.loads(text)) if about[0] == number else None


def ring_path(name: str) -> Path:
    """Return where a ring of this name lies.

    Raises
    ------
    EdgeError
        If it is no plain name.
    """
    if not name or name.startswith(".") or not all(c.isalnum() or c in "._-" for c in name):
        raise EdgeError(f"{name!r} names no shared memory: letters, digits, dots, dashes.")
    folder = Path("/dev/shm")
    return (folder if folder.is_dir() else Path(tempfile.gettempdir())) / f"edge-sdk.{name}"


def _text(values: dict[str, Any]) -> bytes:
    """Return a record as JSON that fits, without its least certain detections if need be."""
    text = json.dumps(values).encode()
    while len(text) > TEXT:
        found = values["detections"]
        values = {**values, "detections": found[: len(found) * TEXT // len(text) - 1]}
        text = json.dumps(values).encode()
    return text
