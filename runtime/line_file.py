"""Text that others follow while it grows."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from edge_sdk.errors import EdgeError


class LineFile:
    """A file of whole lines: one that does not fit on the disk is taken back.

    Raises
    ------
    EdgeError
        If the file cannot be written.
    """

    def __init__(self, path: Path | str) -> None:
        try:
            open(path, "wb").close()
            self._file = open(path, "ab", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise EdgeError(f"Cannot write {path}: {error.strerror}.") from error
        self._size = 0

    def write(self, line: str) -> None:
        """Append a line, which another process can read at once.

        Raises
        ------
        OSError
            If it cannot be written; another may be, later.
        """
        rest = memoryview(f"{line}\n".encode())
        size = self._size + len(rest)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            with suppress(OSError):  # a pipe
                self._file.truncate(self._size)
            raise
        self._size = size

    def close(self) -> None:
        """Close the file."""
        self._file.close()
