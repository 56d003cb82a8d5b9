"""Held-out images seen in several ways, so that few images tell small losses apart.

What rounding does to an image is chance: move it by some pixels, and other detections are lost and
won. Two INT8 engines that lose equally much can therefore differ by half a point on 72 images. An
image that is mirrored and cropped a little is as good an image, and rounded anew; the loss is
measured over all views together. They do not make more images of one: those of the bounds are drawn
with all their views (see `paired_differences`, `block`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import numpy as np
import numpy.typing as npt

from edge_sdk.datasets import Dataset
from edge_sdk.datasets.sample import Labels, Sample

CORNERS = ((0, 0), (5, 11), (13, 3), (9, 17), (21, 7), (3, 23))
"""Rows and columns that are cut off at the top and on the left."""
VIEWS = 2 * len(CORNERS)
_LEAST = 2.0
"""Pixels of a box's side below which it is no object any more."""


@dataclass(frozen=True)
class View(Sample):
    """An image, mirrored or not, without its first rows and columns."""

    image: Sample
    mirrored: bool
    corner: tuple[int, int]

    @property
    def name(self) -> str:
        """The image's name and the view."""
        return f"{self.image.name} mirrored={self.mirrored} from={self.corner}"

    def read(self) -> npt.NDArray[np.uint8]:
        """Return the view as BGR uint8 [h, w, 3]."""
        top, left = self.corner
        image = self.image.read()
        return np.ascontiguousarray((image[:, ::-1] if self.mirrored else image)[top:, left:])

    @cached_property
    def labels(self) -> Labels:  # type: ignore[override]  # a property of Sample
        """The objects that are left."""
        known, (top, left) = self.image.labels, self.corner
        boxes = known.boxes.copy()
        if self.mirrored:
            boxes[:, [0, 2]] = self.image.read().shape[1] - boxes[:, [2, 0]]
        boxes = (boxes - np.array([left, top, left, top], np.float32)).clip(0)
        kept = (boxes[:, 2:] - boxes[:, :2] >= _LEAST).all(axis=1)
        whole = known.boxes[:, 2:] - known.boxes[:, :2]
        share = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) / whole.prod(axis=1).clip(1e-6)
        return Labels.of(
            boxes[kept], known.class_ids[kept], known.crowd[kept], known.difficult[kept],
            (known.areas * share)[kept],
        )  # fmt: skip


def in_views(splits: Sequence[Dataset]) -> Dataset:
    """Return all images of the splits in `VIEWS` views each, those of one image together."""
    images = [
        View(image, mirrored, corner)
        for split in splits
        for image in split.images
        for mirrored, corner in product((False, True), CORNERS)
    ]
    names = " and ".join(split.split for split in splits)
    return replace(splits[0], images=images, split=f"{names} in {VIEWS} views")
