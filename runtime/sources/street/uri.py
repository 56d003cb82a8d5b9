"""The address of the test camera: `test://street?seed=0&fps=30&size=1280x720&split=val`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast
from urllib.parse import parse_qsl, urlsplit

from edge_sdk.errors import EdgeError

Split = Literal["train", "calibration", "val"]
SPLITS: tuple[Split, ...] = ("train", "calibration", "val")

SMALLEST, LARGEST = 32, 8192
"""Pixels a side."""


@dataclass(frozen=True)
class StreetOptions:
    """What a `test://street` address says.

    Attributes
    ----------
    seed : 0 or more; another seed is another street.
    size : (height, width) in pixels.
    fps : frames a second of the street's time.
    split : the worlds to draw from; no two splits share one.
    frames : number of frames, or None for an endless camera.
    """

    seed: int = 0
    size: tuple[int, int] = (720, 1280)
    fps: float = 30.0
    split: Split = "val"
    frames: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**63:
            raise EdgeError(f"seed={self.seed} of the test street must lie in 0..2^63-1.")
        if not 0.1 <= self.fps <= 1000:
            raise EdgeError(f"fps={self.fps:g} of the test street must lie in 0.1..1000.")
        if self.split not in SPLITS:
            raise EdgeError(
                f"split={self.split} of the test street is not one of {', '.join(SPLITS)}."
            )
        if not all(SMALLEST <= side <= LARGEST for side in self.size):
            height, width = self.size
            raise EdgeError(
                f"size={width}x{height} of the test street must be "
                f"{SMALLEST}x{SMALLEST} to {LARGEST}x{LARGEST} pixels."
            )
        if self.frames is not None and self.frames < 1:
            raise EdgeError(f"frames={self.frames} of the test street must be at least 1.")


def parse_street_uri(uri: str) -> StreetOptions:
    """Read a `test://street` address.

    Options: `seed`, `fps`, `size` as WIDTHxHEIGHT, `split` (train, calibration or val) and
    `frames`. What is left out has the default of `StreetOptions`.

    Raises
    ------
    EdgeError
        If the address is of another kind, or an option is unknown, repeated or malformed.
    """
    try:
        parts = urlsplit(uri)
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise EdgeError(f"{uri!r} is malformed: options are NAME=VALUE, joined by &.") from error
    if (parts.scheme, parts.netloc, parts.path.strip("/")) != ("test", "street", ""):
        raise EdgeError(f"{uri!r} is not a test camera: the only one is test://street?seed=0.")
    options = dict(pairs)
    unknown = sorted(set(options) - {"seed", "fps", "size", "split", "frames"})
    if unknown:
        raise EdgeError(
            f"{unknown[0]!r} is no option of test://street: "
            "it has seed, fps, size, split and frames."
        )
    if len(options) < len(pairs):
        raise EdgeError(f"{uri!r} gives an option twice.")
    return StreetOptions(
        seed=_whole("seed", options.get("seed", "0")),
        size=_size(options.get("size", "1280x720")),
        fps=_number("fps", options.get("fps", "30")),
        split=cast(Split, options.get("split", "val")),
        frames=_whole("frames", options["frames"]) if "frames" in options else None,
    )


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise EdgeError(f"{name}={text} of the test street is not a whole number from 0 on.")
    return int(text)


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise EdgeError(f"{name}={text} of the test street is not a number.") from error


def _size(text: str) -> tuple[int, int]:
    width, cross, height = text.partition("x")
    if not (cross and text.isascii() and width.isdigit() and height.isdigit()):
        raise EdgeError(f"size={text} of the test street is not WIDTHxHEIGHT, such as 1280x720.")
    return int(height), int(width)
