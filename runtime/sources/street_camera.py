"""The camera that needs no camera."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import numpy as np
import numpy.typing as npt

from edge_sdk.runtime.sources.source import Source
from edge_sdk.runtime.sources.street import Street, parse_street_uri


class StreetCamera(Source):
    """The rendered street of a `test://street` URI, frame after frame; endless by default."""

    def __init__(self, uri: str) -> None:
        options = parse_street_uri(uri)
        super().__init__(uri, options.fps)
        self._street = Street(options.seed, options.size, options.fps, split=options.split)
        self._frames = options.frames

    def _images(self) -> Iterator[npt.NDArray[np.uint8]]:
        for index in count() if self._frames is None else range(self._frames):
            yield self._street.frame(index).image
