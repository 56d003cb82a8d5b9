"""Where training pictures come from: the test camera, or a data set on disk.

Which picture stands at a position of the endless sequence of examples is a pure function of
(seed, position), so that an interrupted training goes on with the very pictures it would have
seen.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from threading import Lock
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
    """The pictures of a data set, shuffled anew for every pass.

    They stay in memory once they are read, up to a quarter of what the machine has.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._kept: dict[int, npt.NDArray[np.uint8]] = {}
        self._room = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4
        self._lock = Lock()

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
        image = self._image(int(order[index]))
        return Example(image, sample.boxes[single], sample.class_ids[single])

    def _image(self, index: int) -> npt.NDArray[np.uint8]:
        image = self._kept.get(index)
        if image is None:
            image = self._dataset.images[index].read()
            with self._lock:
                if index not in self._kept and image.nbytes <= self._room:
                    self._kept[index] = image
                    self._room -= image.nbytes
        return image


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


class JointExamples:
    """Pictures of several sources in turn, with the classes of all."""

    def __init__(self, parts: Sequence[Examples]) -> None:
        self._parts = parts
        self.names = joint_names([part.names for part in parts])
        self._ids = [class_ids_in(self.names, part.names) for part in parts]

    def example(self, seed: int, position: int) -> Example:
        """Return the picture at a position, with the joint class ids."""
        index, turn = divmod(position, len(self._parts))
        example = self._parts[turn].example(seed, index)
        return example._replace(class_ids=self._ids[turn][example.class_ids])


def joint_names(parts: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Return all names once, in the order of their first place."""
    return tuple(dict.fromkeys(name for names in parts for name in names))


def class_ids_in(joint: tuple[str, ...], names: tuple[str, ...]) -> npt.NDArray[np.int32]:
    """Return the index in `joint` of each name."""
    return np.array([joint.index(name) for name in names], np.int32)
