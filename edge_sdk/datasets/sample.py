"""A data set: class names, and images with their labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Labels:
    """The objects of one image.

    Attributes
    ----------
    boxes : float32 [N, 4], x1, y1, x2, y2 in pixels of the image, within it.
    class_ids : int32 [N], indices into the data set's names.
    crowd : bool [N], regions of many objects; neither missed nor found in an evaluation.
    difficult : bool [N], objects that Pascal VOC leaves out of an evaluation.
    areas : float32 [N], pixels; of the outline where the data set gives it, else of the box.
    """

    boxes: npt.NDArray[np.float32]
    class_ids: npt.NDArray[np.int32]
    crowd: npt.NDArray[np.bool_]
    difficult: npt.NDArray[np.bool_]
    areas: npt.NDArray[np.float32]

    @classmethod
    def of(
        cls,
        boxes: npt.ArrayLike,
        class_ids: npt.ArrayLike,
        crowd: npt.ArrayLike | None = None,
        difficult: npt.ArrayLike | None = None,
        areas: npt.ArrayLike | None = None,
    ) -> Labels:
        """Make labels from anything array-like; what is not given is false, or the box's area."""
        box = np.asarray(boxes, np.float32).reshape(-1, 4)
        sizes = (box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])
        no = np.zeros(len(box), bool)
        return cls(
            box,
            np.asarray(class_ids, np.int32).reshape(-1),
            no if crowd is None else np.asarray(crowd, bool).reshape(-1),
            no if difficult is None else np.asarray(difficult, bool).reshape(-1),
            sizes if areas is None else np.asarray(areas, np.float32).reshape(-1),
        )


class Sample(ABC):
    """One image and its labels."""

    @property
    @abstractmethod
    def name(self) -> str:
        """For messages and results: the file's path, or the frame's address."""

    @abstractmethod
    def read(self) -> npt.NDArray[np.uint8]:
        """Return the image as BGR uint8 [h, w, 3].

        Raises
        ------
        EdgeError
            If the file is no readable image.
        """

    @property
    @abstractmethod
    def labels(self) -> Labels:
        """The objects of the image."""

    @property
    def boxes(self) -> npt.NDArray[np.float32]:
        """Float32 [N, 4], x1, y1, x2, y2 in pixels of the image."""
        return self.labels.boxes

    @property
    def class_ids(self) -> npt.NDArray[np.int32]:
        """Int32 [N], indices into the data set's names."""
        return self.labels.class_ids

    @property
    def crowd(self) -> npt.NDArray[np.bool_]:
        """Bool [N], regions of many objects."""
        return self.labels.crowd

    @property
    def difficult(self) -> npt.NDArray[np.bool_]:
        """Bool [N], objects that Pascal VOC leaves out of an evaluation."""
        return self.labels.difficult


@dataclass(frozen=True)
class FileSample(Sample):
    """An image file with labels that are known already."""

    path: Path
    known: Labels

    @property
    def name(self) -> str:
        """The file's path."""
        return str(self.path)

    @property
    def labels(self) -> Labels:
        """The objects of the image."""
        return self.known

    def read(self) -> npt.NDArray[np.uint8]:
        """Return the image as BGR uint8 [h, w, 3], turned as its EXIF says."""
        from edge_sdk.images import read_image

        return read_image(self.path)


@dataclass(frozen=True)
class Dataset:
    """A split of a data set.

    Attributes
    ----------
    names : one name a class.
    images : the images with their labels.
    source : what was opened, for messages and results.
    split : the split's name in the data set.
    remarks : sentences on what was mended or left out, with counts.
    """

    names: tuple[str, ...]
    images: Sequence[Sample]
    source: str
    split: str
    remarks: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.images)

    def first(self, count: int) -> Dataset:
        """Return the data set with at most the first `count` images."""
        return replace(self, images=self.images[:count])
