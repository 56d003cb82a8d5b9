"""Building blocks of models: convex solids of flat faces, in metres.

A model stands on the ground at y = 0 and looks along +z; x is to its right. Colours are
slots of a palette that each placed instance brings along; the slots are named where the
models are made.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

TWO_SIDED, GRAIN, GLASS, LAMP, LEAVES = 1, 2, 4, 8, 16
"""Flags of a face, as in raster.h."""


Point = tuple[float, float, float]


Points = Sequence[Point]


@dataclass
class Face:
    """A convex polygon: corners [n, 3], the palette's slot, flags, swing of every corner."""

    corners: npt.NDArray[np.float64]
    slot: int
    flags: int
    swing: Sequence[float]


@dataclass
class Part:
    """A convex solid and what lies on its faces; higher layers are painted later."""

    layer: int
    centre: npt.NDArray[np.float64]
    faces: list[Face] = field(default_factory=list)

    def add(
        self, corners: Points, slot: int, flags: int = 0, swing: Sequence[float] | None = None
    ) -> Part:
        """Add a face, its corners ordered so that it looks away from the part's centre."""
        points = np.array(corners, float)
        normal = np.cross(points[1] - points[0], points[2] - points[0])
        swing = list(swing) if swing is not None else [0.0] * len(points)
        if normal @ (points.mean(axis=0) - self.centre) < 0:
            points, swing = points[::-1], swing[::-1]
        self.faces.append(Face(points, slot, flags, swing))
        return self

    def disc(
        self, centre: Point, radius: float, axis: str, slot: int, flags: int = 0, sides: int = 9
    ) -> Part:
        """Add a regular polygon across `axis` ("x" or "z")."""
        angle = (np.arange(sides) + 0.5) * (2 * np.pi / sides)
        a, b = radius * np.cos(angle), radius * np.sin(angle)
        zero = np.zeros(sides)
        offset = np.stack([zero, b, a] if axis == "x" else [a, b, zero], axis=1)
        return self.add([tuple(p) for p in offset + np.array(centre)], slot, flags)


class Model:
    """A model under construction."""

    def __init__(self) -> None:
        self.parts: list[Part] = []

    def part(self, centre: Point, layer: int = 0) -> Part:
        """Begin a solid around a point."""
        self.parts.append(Part(layer, np.array(centre, float)))
        return self.parts[-1]

    def loft(
        self,
        rings: Iterable[tuple[Points, Sequence[float]]],
        slots: Sequence[int],
        *,
        cap: int,
        layer: int = 0,
        flags: int = 0,
    ) -> Part:
        """Join two rings of corners (with their swing) by quads; close both ends."""
        (low, swing_low), (high, swing_high) = rings
        part = self.part(tuple(np.mean([*low, *high], axis=0)), layer)
        count = len(low)
        for i in range(count):
            j = (i + 1) % count
            part.add(
                [low[i], low[j], high[j], high[i]],
                slots[i % len(slots)],
                flags,
                [swing_low[i], swing_low[j], swing_high[j], swing_high[i]],
            )
        part.add(low, cap, flags, swing_low)
        part.add(high, cap, flags, swing_high)
        return part

    def box(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        z: tuple[float, float],
        slot: int,
        *,
        layer: int = 0,
        flags: int = 0,
        taper: float = 0.0,
        top: int | None = None,
        swing: tuple[float, float] = (0.0, 0.0),
        shift: float = 0.0,
    ) -> Part:
        """A box; `taper` narrows its top in x and z, `shift` moves the top along z."""

        def ring(height: float, inset: float, forward: float) -> Points:
            x0, x1 = x[0] + inset, x[1] - inset
            z0, z1 = z[0] + inset + forward, z[1] - inset + forward
            return [(x0, height, z0), (x1, height, z0), (x1, height, z1), (x0, height, z1)]

        return self.loft(
            [(ring(y[0], 0.0, 0.0), [swing[0]] * 4), (ring(y[1], taper, shift), [swing[1]] * 4)],
            [slot],
            cap=slot if top is None else top,
            layer=layer,
            flags=flags,
        )

    def extrude(
        self,
        profile: Sequence[tuple[float, float]],
        half: tuple[float, ...],
        slots: Sequence[int],
        side: int,
        *,
        layer: int = 0,
        flags: int = 0,
    ) -> Part:
        """A convex profile in (z, y) stretched over x; `half` is the half width a corner."""
        widths = [half[i % len(half)] for i in range(len(profile))]
        left = [(-w, y, z) for (z, y), w in zip(profile, widths, strict=True)]
        right = [(w, y, z) for (z, y), w in zip(profile, widths, strict=True)]
        still = [0.0] * len(profile)
        return self.loft([(left, still), (right, still)], slots, cap=side, layer=layer, flags=flags)

    def ball(
        self, centre: Point, radius: float, slot: int, *, layer: int = 0, stretch: float = 1.0
    ) -> Part:
        """A faceted ball."""
        part = self.part(centre, layer)
        angle = np.arange(7) * (2 * np.pi / 6)
        heights = (-0.98, -0.6, 0.3, 0.85)
        rings = [
            [
                (
                    centre[0] + radius * np.sqrt(1 - h * h) * np.cos(a),
                    centre[1] + radius * stretch * h,
                    centre[2] + radius * np.sqrt(1 - h * h) * np.sin(a),
                )
                for a in angle
            ]
            for h in heights
        ]
        for low, high in pairwise(rings):
            for i in range(6):
                part.add([low[i], low[i + 1], high[i + 1], high[i]], slot)
        part.add(rings[-1][:6], slot)
        return part


def side_rectangle(
    x: float, y: tuple[float, float], z: tuple[float, float], lean: float = 0.0
) -> Points:
    """Corners of a rectangle across x; `lean` moves its top to -x."""
    return [(x, y[0], z[0]), (x, y[0], z[1]), (x - lean, y[1], z[1]), (x - lean, y[1], z[0])]


def front_rectangle(x: tuple[float, float], y: tuple[float, float], z: float) -> Points:
    """Corners of a rectangle across z."""
    return [(x[0], y[0], z), (x[1], y[0], z), (x[1], y[1], z), (x[0], y[1], z)]
