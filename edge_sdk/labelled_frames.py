"""Labelled images as a network takes them, with their objects in its pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from edge_sdk.datasets.sample import Dataset
    from edge_sdk.head_spec import HeadSpec

Arrays = list[npt.NDArray[np.float32]]


def labelled_frames(dataset: Dataset, limit: int, spec: HeadSpec) -> tuple[Arrays, Arrays]:
    """Return images float32 [1, 3, H, W] and the boxes float32 [N, 4] of their objects.

    Images without objects are passed over, as are crowd regions and difficult objects.

    Parameters
    ----------
    dataset : where they are taken from, in its order.
    limit : images at most.
    spec : of the network.

    Raises
    ------
    EdgeError
        If an image cannot be read.
    """
    from edge_sdk.runtime.letterbox import Letterbox

    letterbox = Letterbox(spec.preprocessing, spec.input_size)
    frames: Arrays = []
    objects: Arrays = []
    for sample in dataset.images:
        kept = ~(sample.crowd | sample.difficult)
        if len(frames) == limit or not kept.any():
            continue
        frame = np.empty((1, 3, *spec.input_size), np.float32)
        placement = letterbox(sample.read(), frame[0])
        corner = np.array([placement.left, placement.top] * 2, np.float32)
        frames.append(frame)
        objects.append(sample.boxes[kept] * np.float32(placement.scale) + corner)
    return frames, objects
