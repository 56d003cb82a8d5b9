"""Pictures on disk, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import EdgeError
from edge_sdk.images import SUFFIXES, read_image
from edge_sdk.runtime.sources.source import Source


class PictureSource(Source):
    """Picture files in the order given, at `fps` pictures a second of video.

    `loop` is how often to show them; None for ever.

    Raises
    ------
    EdgeError
        If there is none; while reading, if one cannot be read.
    """

    def __init__(
        self, name: str, paths: Sequence[Path], fps: float = 5.0, loop: int | None = 1
    ) -> None:
        if not paths:
            raise EdgeError(f"{name} holds no picture ({', '.join(sorted(SUFFIXES))}).")
        super().__init__(name, fps)
        self._paths = paths
        self._loop = loop

    def _images(self) -> Iterator[npt.NDArray[np.uint8]]:
        rounds = repeat(self._paths) if self._loop is None else repeat(self._paths, self._loop)
        return map(read_image, chain.from_iterable(rounds))


def is_picture(path: Path) -> bool:
    """Tell by its name whether a file is a picture."""
    return path.suffix.lower() in SUFFIXES
