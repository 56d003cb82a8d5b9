"""A page of pictures with what is labelled on them and what a network finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge_sdk.datasets import Sample
from edge_sdk.detections import Detections
from edge_sdk.drawing import draw
from edge_sdk.files import replacing

PICTURES = 12
COLUMNS = 4
LONGEST = 480
"""Pixels of a picture's longer side on the page."""
GAP = 8
"""Pixels between pictures and around them."""
GREY = 64

WHITE, BLACK = (255,) * 3, (0,) * 3

SCORE = 0.25
"""Of what is drawn, at least; as the runtime's default."""

Image = npt.NDArray[np.uint8]


def spread(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples of a page, evenly spread."""
    count = min(PICTURES, len(samples))
    return [samples[index * len(samples) // count] for index in range(count)]


def write_page(path: Path, samples: Sequence[Sample], found: Sequence[Detections]) -> None:
    """Draw the labels (thin, white in black) and the detections (coloured, with name and score).

    Parameters
    ----------
    found : the detections on each sample.
    """
    tiles = [_tile(sample, one) for sample, one in zip(samples, found, strict=True)]
    height, width = np.max([tile.shape[:2] for tile in tiles], axis=0) + GAP
    columns = min(COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    page = np.full((rows * height + GAP, columns * width + GAP, 3), GREY, np.uint8)
    for index, tile in enumerate(tiles):
        top, left = GAP + index // columns * height, GAP + index % columns * width
        page[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    with replacing(path) as beside:
        beside.write_bytes(cv2.imencode(".jpg", page)[1].tobytes())


def _tile(sample: Sample, found: Detections) -> Image:
    image = sample.read()
    scale = LONGEST / max(image.shape[:2])
    tile: Image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    draw(tile, replace(found, boxes=found.boxes * np.float32(scale)))
    for x1, y1, x2, y2 in np.rint(sample.boxes * scale).astype(int).tolist():
        cv2.rectangle(tile, (x1, y1), (x2, y2), BLACK, 3)
        cv2.rectangle(tile, (x1, y1), (x2, y2), WHITE, 1)
    return tile
