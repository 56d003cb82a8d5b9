"""Pictures on disk, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import EdgeError
from edge_sdk.images import SUFFIXES, read_image
from edge_sdk.runtime.log import log
from edge_sdk.runtime.sources.source import Source


class PictureSource(Source):
    """Picture files in the order given, at `fps` pictures a second of video.

    `loop` is how often to show them; None for ever. One that cannot be read is left out, and told.

    Raises
    ------
    EdgeError
        If there is none; while reading, if none can be read.
    """

    def __init__(
        self, name: str, paths: Sequence[Path], fps: float = 5.0, loop: int | None = 1
    ) -> None:
        if not paths:
            raise EdgeError(f"{name} holds no picture ({', '.join(sorted(SUFFIXES))}).")
        super().__init__(name, fps)
        self.files = tuple(paths)
        self._paths = list(paths)
        self._loop = loop

    def _images(self) -> Iterator[npt.NDArray[np.uint8]]:
        for _ in repeat(None) if self._loop is None else repeat(None, self._loop):
            for path in tuple(self._paths):
                try:
                    image = read_image(path)
                except EdgeError as error:
                    self._leave_out(path, error)
                else:
                    yield image

    def _leave_out(self, path: Path, error: EdgeError) -> None:
        """Show a picture in no round any more."""
        self.damaged += 1
        log.warning("%s: left out: %s", self.name, error)
        self._paths.remove(path)
        if not self._paths:
            raise error


def is_picture(path: Path) -> bool:
    """Tell whether this is a file, and by its name a picture."""
    return path.suffix.lower() in SUFFIXES and path.is_file()
