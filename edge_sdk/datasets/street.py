"""Frames of the test camera as a data set: rendered when read, labelled exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, lru_cache, partial

import numpy as np
import numpy.typing as npt

from edge_sdk.datasets.sample import Dataset, Labels, Sample
from edge_sdk.datasets.splits import find_split
from edge_sdk.runtime.sources.street import (
    CLASS_NAMES,
    SPLITS,
    LabelledFrame,
    Street,
    parse_street_uri,
    sample,
)

FRAMES = 500
"""Frames of a data set whose address does not say how many."""


class StreetSample(Sample):
    """One frame of the test camera.

    Parameters
    ----------
    name : its address and number.
    render : makes the frame, always the same.
    """

    def __init__(self, name: str, render: Callable[[], LabelledFrame]) -> None:
        self._name = name
        self._render = render

    @property
    def name(self) -> str:
        """The frame's address and number."""
        return self._name

    def read(self) -> npt.NDArray[np.uint8]:
        """Render the frame as BGR uint8 [h, w, 3]; its labels are kept, its pixels are not."""
        frame = self._render()
        self.labels = Labels.of(frame.boxes, frame.class_ids)
        return frame.image

    @cached_property
    def labels(self) -> Labels:
        """The objects of the frame, which is rendered for them if it was not read before."""
        frame = self._render()
        return Labels.of(frame.boxes, frame.class_ids)


def open_street(address: str, split: str) -> Dataset:
    """Open `test://street?seed=&size=&fps=&frames=&split=`; a split in the address wins.

    Raises
    ------
    EdgeError
        If the address is malformed, or there is no such split.
    """
    options = parse_street_uri(address)
    if "split=" not in address:
        options = replace(options, split=find_split(split, SPLITS, address))  # type: ignore[arg-type]

    @lru_cache(maxsize=1)
    def street(seed: int) -> Street:
        return Street(seed, options.size, options.fps, options.split)

    def render(number: int) -> LabelledFrame:
        seed, index = sample(number, options.seed, options.fps)
        return street(seed).frame(index)

    samples = [
        StreetSample(f"{address} frame {number}", partial(render, number))
        for number in range(options.frames or FRAMES)
    ]
    return Dataset(CLASS_NAMES, samples, address, options.split)
