"""From a frame of any size to the network's input, changed a little each time it is seen."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge_sdk.head_spec import Preprocessing
from edge_sdk.runtime.letterbox import Letterbox

SMALLEST_SIDE = 2.0
"""Pixels of the network input; a box with a smaller side is no longer asked for."""

Image = npt.NDArray[np.uint8]
Boxes = npt.NDArray[np.float32]
ClassIds = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Augmentation:
    """How much a picture may change.

    Attributes
    ----------
    flip : probability of a mirrored picture.
    hue, saturation, brightness : largest relative change, 0..1, of each.
    zoom : largest relative change of the size, in both directions: 0.5 is 1/1.5 to 1.5.
    shift : largest shift, as a part of the input's sides.
    """

    flip: float = 0.5
    hue: float = 0.015
    saturation: float = 0.4
    brightness: float = 0.3
    zoom: float = 0.5
    shift: float = 0.1


RENDERED = Augmentation(zoom=0.0, shift=0.0)
"""For frames of a renderer, which never shows the same place and size twice."""

NONE = Augmentation(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Placer:
    """Places frames in the network's input.

    Attributes
    ----------
    preprocessing : the network's letterbox; without augmentation the picture lies where the
        letterbox of the runtime puts it.
    input_size : (height, width) in pixels.
    """

    preprocessing: Preprocessing
    input_size: tuple[int, int]
    augmentation: Augmentation

    def __call__(
        self, image: Image, boxes: Boxes, class_ids: ClassIds, random: np.random.Generator
    ) -> tuple[Image, Boxes, ClassIds]:
        """Return the input uint8 [H, W, 3] in the network's channel order, and its objects.

        Parameters
        ----------
        image : BGR uint8 [h, w, 3].
        boxes : float32 [N, 4], x1, y1, x2, y2 in pixels of the image; returned in pixels of
            the input, clipped to it, without those that became too small.
        class_ids : int32 [N].
        random : the only source of chance.
        """
        height, width = self.input_size
        mapping = self._mapping(image.shape[:2], random)
        canvas = cv2.warpAffine(
            image, _sampled_at_centres(mapping), (width, height), flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT, borderValue=(self.preprocessing.pad_value,) * 3,
        )  # fmt: skip
        corners = boxes.reshape(-1, 2, 2) * mapping[[0, 1], [0, 1]] + mapping[:, 2]
        picture = np.array([[0, 0], image.shape[1::-1]]) * mapping[[0, 1], [0, 1]] + mapping[:, 2]
        limits = np.array([width, height])
        self._recolour(canvas, np.clip(np.sort(picture, axis=0), 0, limits).round(), random)
        # A mirrored box has its corners in the wrong order.
        corners = np.clip(np.sort(corners, axis=1), 0, limits)
        large = (corners[:, 1] - corners[:, 0] >= SMALLEST_SIDE).all(axis=1)
        if self.preprocessing.channel_order == "rgb":
            cv2.cvtColor(canvas, cv2.COLOR_BGR2RGB, dst=canvas)
        return canvas, corners[large].reshape(-1, 4).astype(np.float32), class_ids[large]

    def _mapping(
        self, size: tuple[int, ...], random: np.random.Generator
    ) -> npt.NDArray[np.float64]:
        """Return the 2 x 3 matrix from frame to input coordinates (the origin is a corner)."""
        change = self.augmentation
        height, width = self.input_size
        placement = Letterbox(self.preprocessing, self.input_size).placement((size[0], size[1]))
        zoom = (1 + change.zoom) ** random.uniform(-1, 1)
        centre = np.array([width, height]) / 2
        shift = random.uniform(-change.shift, change.shift, 2) * [width, height]
        offset = (np.array([placement.left, placement.top]) - centre) * zoom + centre + shift
        scale = placement.scale * zoom
        mapping = np.array([[scale, 0, offset[0]], [0, scale, offset[1]]])
        if random.random() < change.flip:
            mapping[0] = [-scale, 0, width - offset[0]]
        return mapping

    def _recolour(
        self, canvas: Image, picture: npt.NDArray[np.float64], random: np.random.Generator
    ) -> None:
        """Change hue, saturation and brightness of the picture, not of the padding, in place."""
        change = self.augmentation
        gains = 1 + random.uniform(-1, 1, 3) * [change.hue, change.saturation, change.brightness]
        if np.all(gains == 1):
            return
        (left, top), (right, bottom) = picture.astype(int)
        if right <= left or bottom <= top:
            return
        levels = np.arange(256)
        table = np.stack(
            (levels * gains[0] % 180, *(np.clip(levels * gain, 0, 255) for gain in gains[1:])),
            axis=-1,
        ).astype(np.uint8)
        inner = cv2.cvtColor(canvas[top:bottom, left:right], cv2.COLOR_BGR2HSV)
        inner = cv2.LUT(inner, table[None])
        canvas[top:bottom, left:right] = cv2.cvtColor(inner, cv2.COLOR_HSV2BGR)


def _sampled_at_centres(mapping: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the mapping for coordinates whose origin is the centre of the first pixel."""
    shifted = mapping.copy()
    shifted[:, 2] += mapping[[0, 1], [0, 1]] * 0.5 - 0.5
    return shifted
