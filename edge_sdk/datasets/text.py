"""Text files of labels, as people's editors write them."""

from __future__ import annotations

from pathlib import Path

from edge_sdk.errors import EdgeError
from edge_sdk.images import content


def read_text(path: Path) -> str:
    """Return a UTF-8 file's text; the byte order mark that some editors write is dropped.

    Raises
    ------
    EdgeError
        If the file cannot be read, or is not UTF-8.
    """
    try:
        return content(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise EdgeError(f"{path} is no text in UTF-8 ({error}): save it as such.") from error
