"""The things of a world as columns, and where they are at a time."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from edge_sdk.runtime.sources.street._raster import INSTANCE_FLOATS

from edge_sdk.runtime.sources.street.dice import Floats
from edge_sdk.runtime.sources.street.things import BEHIND, Things

HEIGHTS = (1.5, 3.3, 1.8, 1.75, 1.08)
"""Metres, of the classes; what would be too low in the picture for a label is not drawn."""


class Columns:
    """A world's things as columns, with the part of their records that never changes."""

    def __init__(self, things: Things) -> None:
        def column(name: str) -> Floats:
            return np.array([getattr(thing, name) for thing in things.rows], float)

        self.class_id = column("class_id").astype(np.int32)
        self.s, self.x, self.y = column("s"), column("x"), column("y")
        self.speed, self.ring, self.turn = column("speed"), column("ring"), column("turn")
        self.stride, self.phase, self.nearer = column("stride"), column("phase"), column("nearer")
        self.cross_speed, self.cross_half = column("cross_speed"), column("cross_half")
        self.crosses, self.to_camera = self.cross_half > 0, column("to_camera") > 0
        self.scale = np.stack([column(f"scale_{axis}") for axis in "xyz"], axis=1)
        self.height = self.scale[:, 1] * np.array((*HEIGHTS, 0.0))[self.class_id]
        self.records = np.zeros((len(things.rows), INSTANCE_FLOATS), np.float32)
        self.records[:, 0] = column("mesh")
        for offset, name in enumerate(("shadow_x", "shadow_z", "shadow_height")):
            self.records[:, 11 + offset] = column(name)
        self.records[:, 14:] = np.reshape(things.palettes, (len(things.rows), -1))

    def ahead(self, time: float, travelled: float) -> Floats:
        """Return how far ahead of the camera everything is, in -BEHIND .. ring - BEHIND."""
        return around(self.s + self.speed * time - travelled, self.ring)

    def rounds(self, time: float, travelled: float) -> npt.NDArray[np.int64]:
        """Return how often everything has gone round its ring since time 0; may be negative."""
        shift = self.s + self.speed * time - travelled + BEHIND
        return np.floor(shift / self.ring).astype(np.int64)

    def walk_across(self, time: float) -> tuple[Floats, Floats]:
        """Return x and heading, to and fro for those that cross the street."""
        span = np.where(self.crosses, 4 * self.cross_half, 1.0)
        path = 2 * self.cross_half * self.phase + self.cross_speed * time
        path = path - np.floor(path / span) * span
        there = path < 2 * self.cross_half
        x = np.where(there, path - self.cross_half, 3 * self.cross_half - path)
        turn = np.where(there, math.pi / 2, -math.pi / 2)
        return np.where(self.crosses, x, self.x), np.where(self.crosses, turn, self.turn)


def around(s: Floats, ring: Floats | float) -> Floats:
    """Bring a position relative to the camera onto its ring."""
    shift = s + BEHIND
    return shift - np.floor(shift / ring) * ring - BEHIND


def wave(turns: Floats) -> Floats:
    """A smooth wave of period 1 and height 1, of multiplications only."""
    t = turns - np.floor(turns)
    u = np.where(t < 0.5, t, t - 0.5)
    arch = 16.0 * u * (0.5 - u)
    return np.where(t < 0.5, arch, -arch)
