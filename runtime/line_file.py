"""Text that others follow while it grows."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from pathlib import Path

from edge_sdk.errors import EdgeError
from edge_sdk.runtime.file_series import FileSeries


class LineFile:
    """A file, or a series of them, of whole lines: one that does not fit on the disk is taken back.

    Parameters
    ----------
    address : of the file or files (see `FileSeries`).

    Raises
    ------
    EdgeError
        If the file cannot be written.
    """

    def __init__(self, address: Path | str) -> None:
        self._series = FileSeries(address)
        self._open = ExitStack()
        self._begin()

    def _begin(self) -> None:
        path = self._series.begin()
        try:
            open(path, "wb").close()
            file = open(path, "ab", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise EdgeError(f"Cannot write {path}: {error.strerror}.") from error
        self._open.close()
        self._file, self._size = self._open.enter_context(file), 0

    def write(self, line: str) -> None:
        """Append a line, which another process can read at once.

        Raises
        ------
        OSError
            If it cannot be written; another may be, later.
        EdgeError
            If it is time for the next file, and there can be none; lines go on in this one.
        """
        if self._series.over():
            self._begin()
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
        self._open.close()
