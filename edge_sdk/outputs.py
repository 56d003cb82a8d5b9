"""Looking at where an output is to go, before the work that makes it begins."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from edge_sdk.errors import EdgeError
from edge_sdk.images import SUFFIXES


def check_output(output: Path | str, *inputs: Path | str | None) -> None:
    """Refuse a file that cannot be written, or that would take the place of what is not ours.

    An earlier output of the same kind may be replaced. Nothing is written.

    Parameters
    ----------
    output : the file to write; folders above it need not be there yet.
    inputs : what it is made from: paths, addresses, None for what was not given.

    Raises
    ------
    EdgeError
        If it is a folder, an input or a picture, or its folder cannot be written.
    """
    output = Path(output)
    try:
        if output.is_dir():
            raise EdgeError(f"The output {output} is a folder: name a file to write.")
        check_place(output, *inputs)
    except OSError as error:
        raise EdgeError(f"Cannot write {output}: {error.strerror}.") from error


def check_place(output: Path, *inputs: Path | str | None) -> None:
    """Refuse an output, file or folder, that is an input or a picture, or cannot be written.

    Raises
    ------
    EdgeError
        If it is an input or a picture.
    OSError
        If its folder cannot be written.
    """
    if output.exists():
        sources = [Path(source) for source in inputs if source is not None]
        if any(source.exists() and output.samefile(source) for source in sources):
            raise EdgeError(f"The output {output} is one of the inputs: give it another name.")
        if output.suffix.lower() in SUFFIXES:
            raise EdgeError(f"The output {output} is a picture: give it another name.")
    place = output.parent
    while not place.exists():
        place = place.parent
    # Permissions do not tell of a read-only disk, nor of anything to an administrator.
    os.rmdir(tempfile.mkdtemp(prefix=".edge-sdk-", dir=place))
