"""Data sets of the test camera: frames of many worlds, the same for everybody."""

from __future__ import annotations

from collections.abc import Iterator

from edge_sdk.runtime.sources.street.labels import LabelledFrame
from edge_sdk.runtime.sources.street.scene import Street
from edge_sdk.runtime.sources.street.uri import StreetOptions, parse_street_uri

FRAMES_A_WORLD = 4
SECONDS_APART = 3


def sample(number: int, seed: int = 0, fps: float = 30.0) -> tuple[int, int]:
    """Return the (seed, frame index) of the `number`-th frame of a data set.

    Four frames of each world, three seconds apart; data sets of different `seed` share no
    world as long as they have fewer than four million frames.
    """
    world, turn = divmod(number, FRAMES_A_WORLD)
    return seed * 1_000_000 + world, round(turn * SECONDS_APART * fps)


def labelled_frames(source: str | StreetOptions, count: int) -> Iterator[LabelledFrame]:
    """Yield the first `count` frames of the data set that a `test://street` address names."""
    options = parse_street_uri(source) if isinstance(source, str) else source
    street: Street | None = None
    for number in range(count):
        seed, index = sample(number, options.seed, options.fps)
        if street is None or street.seed != seed:
            street = Street(seed, options.size, options.fps, options.split)
        yield street.frame(index)
