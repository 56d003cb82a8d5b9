"""Where training pictures come from: the test camera, or a data set on disk.

Which picture stands at a position of the endless sequence of examples is a pure function of
(seed, position), so that an interrupted training goes on with the very pictures it would have
seen.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from edge_sdk.datasets import Dataset
from edge_sdk.runtime.sources.street import CLASS_NAMES, Street, StreetOptions

WORLDS = 2**31
"""Streets of the test camera that training draws from."""

SECONDS = 60
"""How far into a street's time."""


class Example(NamedTuple):
    """A labelled picture: BGR uint8 [h, w, 3], float32 [N, 4] in its pixels, int32 [N]."""

    image: npt.NDArray[np.uint8]
    boxes: npt.NDArray[np.float32]
    class_ids: npt.NDArray[np.int32]


class Examples(Protocol):
    """An endless sequence of labelled pictures."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the classes."""

    def example(self, seed: int, position: int) -> Example:
        """Return the picture at a position (0, 1, ...) of the sequence that `seed` chooses."""


class DatasetExamples:
    """The pictures of a data set, shuffled anew for every pass."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self._dataset.names

    def example(self, seed: int, position: int) -> Example:
        """Return the picture at a position; crowd regions are no objects to learn."""
        count = len(self._dataset)
        epoch, index = divmod(position, count)
        order = np.random.default_rng((seed, epoch)).permutation(count)
        sample = self._dataset.images[order[index]]
        single = ~sample.crowd
        return Example(sample.read(), sample.boxes[single], sample.class_ids[single])


class StreetExamples:
    """Frames of the test camera, every one of another street at another time.

    Every other frame, by chance, is of a camera with half the pixels in both directions.
    """

    def __init__(self, options: StreetOptions) -> None:
        self._options = options

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the classes."""
        return CLASS_NAMES

    def example(self, seed: int, position: int) -> Example:
        """Return the picture at a position, rendered now."""
        options = self._options
        random = np.random.default_rng((options.seed, seed, position))
        divisor = int(random.integers(1, 3))
        size = options.size[0] // divisor, options.size[1] // divisor
        street = Street(int(random.integers(WORLDS)), size, options.fps, "train")
        return Example(*street.frame(int(random.uniform(0, SECONDS) * options.fps)))
