"""Writing that never leaves half a file, and the hashes that name content."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_sdk.errors import EdgeError


def sha256(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file's content."""
    with open(path, "rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it onto `path` if the body succeeds.

    The body may write a file or create a folder at the temporary path. If it raises,
    what it wrote is removed and whatever stood at `path` is untouched. The temporary
    path keeps the suffix of `path`, so that writers which look at it still work. A file never
    takes the place of a folder.

    Raises
    ------
    EdgeError
        If the folder cannot be written, the disk is full, or a folder is where a file should go.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise EdgeError(f"Cannot write {path}: {error.strerror}.") from error
    try:
        beside = scratch / path.name
        yield beside
        _swap(beside, path, scratch)
    except OSError as error:
        raise EdgeError(f"Cannot write {path}: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write_text(path: Path | str, text: str) -> None:
    """Write `text` to `path` as UTF-8, whole or not at all."""
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give a folder for temporary files, which goes with what is in it.

    Raises
    ------
    EdgeError
        If it cannot be made, or the disk is full.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="edge-sdk-") as folder:
            yield Path(folder)
    except OSError as error:
        raise EdgeError(
            f"Temporary files cannot be written ({error}): make room for them, or let TMPDIR name "
            "a folder on another disk."
        ) from error


def make_folder(path: Path) -> None:
    """Make a folder and those above it, or take the one that is there.

    Raises
    ------
    EdgeError
        If that is not possible.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EdgeError(f"Cannot make the folder {path}: {error.strerror}.") from error


def _swap(beside: Path, path: Path, scratch: Path) -> None:
    """Rename `beside` onto `path`; a folder in the way steps aside first."""
    if path.is_dir() and not beside.is_dir():
        raise EdgeError(f"Cannot write {path}: it is a folder.")
    if path.is_dir() and not path.is_symlink():
        os.rename(path, scratch / "replaced")
    os.rename(beside, path)
