"""The library of models: convex parts of flat faces, in metres, built once.

A model stands on the ground at y = 0 and looks along +z; x is to its right. Colours are
slots of a palette that each placed instance brings along.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

TWO_SIDED, GRAIN, GLASS, LAMP, LEAVES = 1, 2, 4, 8, 16
"""Flags of a face, as in raster.h."""

Point = tuple[float, float, float]
Points = Sequence[Point]


class Library(NamedTuple):
    """All models as arrays, laid out as in raster.h."""

    vertices: npt.NDArray[np.float32]
    faces: npt.NDArray[np.int32]
    parts: npt.NDArray[np.float32]
    meshes: npt.NDArray[np.int32]


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
        self.parts.append(Part(layer, np.array(centre, float)))
        return self.parts[-1]

    def loft(
        self, rings: Iterable[tuple[Points, Sequence[float]]], slots: Sequence[int], *,
        cap: int, layer: int = 0, flags: int = 0,
    ) -> Part:  # fmt: skip
        """Join two rings of corners (with their swing) by quads; close both ends."""
        (low, swing_low), (high, swing_high) = rings
        part = self.part(tuple(np.mean([*low, *high], axis=0)), layer)
        count = len(low)
        for i in range(count):
            j = (i + 1) % count
            part.add(
                [low[i], low[j], high[j], high[i]], slots[i % len(slots)], flags,
                [swing_low[i], swing_low[j], swing_high[j], swing_high[i]],
            )  # fmt: skip
        part.add(low, cap, flags, swing_low)
        part.add(high, cap, flags, swing_high)
        return part

    def box(
        self, x: tuple[float, float], y: tuple[float, float], z: tuple[float, float], slot: int, *,
        layer: int = 0, flags: int = 0, taper: float = 0.0, top: int | None = None,
        swing: tuple[float, float] = (0.0, 0.0), shift: float = 0.0,
    ) -> Part:  # fmt: skip
        """A box; `taper` narrows its top in x and z, `shift` moves the top along z."""

        def ring(height: float, inset: float, forward: float) -> Points:
            x0, x1 = x[0] + inset, x[1] - inset
            z0, z1 = z[0] + inset + forward, z[1] - inset + forward
            return [(x0, height, z0), (x1, height, z0), (x1, height, z1), (x0, height, z1)]

        return self.loft(
            [(ring(y[0], 0.0, 0.0), [swing[0]] * 4), (ring(y[1], taper, shift), [swing[1]] * 4)],
            [slot], cap=slot if top is None else top, layer=layer, flags=flags,
        )  # fmt: skip

    def extrude(
        self, profile: Sequence[tuple[float, float]], half: tuple[float, ...],
        slots: Sequence[int], side: int, *, layer: int = 0, flags: int = 0,
    ) -> Part:  # fmt: skip
        """A convex profile in (z, y) stretched over x; `half` is the half width a corner."""
        widths = [half[i % len(half)] for i in range(len(profile))]
        left = [(-w, y, z) for (z, y), w in zip(profile, widths, strict=True)]
        right = [(w, y, z) for (z, y), w in zip(profile, widths, strict=True)]
        still = [0.0] * len(profile)
        return self.loft([(left, still), (right, still)], slots, cap=side, layer=layer, flags=flags)

    def ball(self, centre: Point, radius: float, slot: int, *, layer: int = 0, stretch: float = 1.0) -> Part:
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
        for low, high in zip(rings, rings[1:], strict=False):
            for i in range(6):
                part.add([low[i], low[i + 1], high[i + 1], high[i]], slot)
        part.add(rings[-1][:6], slot)
        return part


def _side_rectangle(x: float, y: tuple[float, float], z: tuple[float, float], lean: float = 0.0) -> Points:
    return [(x, y[0], z[0]), (x, y[0], z[1]), (x - lean, y[1], z[1]), (x - lean, y[1], z[0])]


def _front_rectangle(x: tuple[float, float], y: tuple[float, float], z: float) -> Points:
    return [(x[0], y[0], z), (x[1], y[0], z), (x[1], y[1], z), (x[0], y[1], z)]


def _wheels(body: Part, under: Model, half: float, at: Sequence[float], radius: float) -> None:
    """Discs on the body's sides; dark boxes below it that show from ahead and behind."""
    for z in at:
        for side in (-1.0, 1.0):
            x = side * (half + 0.01)
            body.disc((x, radius, z), radius, "x", 1, sides=12)
            body.disc((x, radius, z), radius * 0.58, "x", 4, sides=9)
            body.disc((x, radius, z), radius * 0.2, "x", 1, sides=6)
            inner, outer = sorted((side * (half - 0.24), side * half))
            under.box((inner, outer), (0.0, radius * 1.2), (z - radius * 0.8, z + radius * 0.8), 1)


# ---- vehicles: slots 0 body, 1 tyres and shade, 2 glass, 3 second body colour, 4 metal,
# 5 headlights, 6 tail lights, 7 plate, 8 load


def _car(
    length: float, width: float, waist: float, roof: float, hood: float, boot: float,
    rake: float, rear_rake: float,
) -> Model:  # fmt: skip
    """`hood`, `boot`: lengths ahead of and behind the cabin's foot; rakes: cabin's slopes."""
    model, h, half = Model(), length / 2, width / 2
    model.box((-half + 0.1, half - 0.1), (0.12, 0.4), (-h + 0.15, h - 0.15), 1)
    body = model.extrude(
        [(-h, 0.35), (h, 0.35), (h + 0.04, 0.55), (h - 0.12, waist - 0.14), (h - hood, waist),
         (-h + boot, waist + 0.02), (-h + 0.06, waist - 0.04), (-h - 0.03, 0.6)],
        (half - 0.04, half - 0.04, half, half - 0.03, half, half, half - 0.02, half),
        [1, 0, 0, 0, 0, 0, 0, 0], 0, layer=1,
    )  # fmt: skip
    back, front = -h + boot, h - hood
    inset = 0.16
    cabin = model.extrude(
        [(back - 0.05, waist - 0.05), (front + 0.05, waist - 0.05), (front - rake, roof - 0.02),
         (front - rake - 0.25, roof), (back + rear_rake + 0.25, roof), (back + rear_rake, roof - 0.03)],
        (half - 0.03, half - 0.03, half - inset, half - inset, half - inset, half - inset),
        [1, 2, 0, 0, 0, 2], 0, layer=2,
    )  # fmt: skip
    for face in (cabin.faces[1], cabin.faces[5]):
        face.flags |= GLASS
    low, high = waist + 0.03, roof - 0.1
    share = (high - waist) / (roof - waist)
    middle = (front - rake * 0.5 + back + rear_rake * 0.5) / 2
    for side in (-1.0, 1.0):
        x, lean = side * (half - 0.03), side * (inset - 0.03)
        xl, xh = x - lean * 0.1, x - lean * share
        for a_low, a_high, b_high, b_low in (
            (back + 0.14, back + rear_rake * share + 0.14, middle - 0.05, middle - 0.05),
            (middle + 0.05, middle + 0.05, front - rake * share - 0.12, front - 0.14),
        ):
            cabin.add([(xl, low, a_low), (xh, high, a_high), (xh, high, b_high), (xl, low, b_low)], 2, GLASS)
        body.add(_side_rectangle(side * (half - 0.005), (0.36, 0.5), (-h + 0.1, h - 0.1)), 3)
        body.add(_side_rectangle(side * half, (waist - 0.2, waist - 0.16), (middle - 0.3, middle - 0.12)), 4)
        body.add(_side_rectangle(side * half, (0.5, waist), (middle - 0.012, middle + 0.012)), 1)
        for lamp, end in ((5, h + 0.045), (6, -h - 0.045)):
            outer, inner = side * (half - 0.06), side * (half - 0.46)
            body.add(_front_rectangle((outer, inner), (waist - 0.32, waist - 0.17), end), lamp, LAMP)
        mirror = sorted((side * half, side * (half + 0.17)))
        model.box((mirror[0], mirror[1]), (waist, waist + 0.13), (front - 0.35, front - 0.2), 0, layer=2)
    body.add(_front_rectangle((-half * 0.5, half * 0.5), (0.5, waist - 0.26), h + 0.045), 1)
    body.add(_front_rectangle((-0.26, 0.26), (0.42, 0.54), h + 0.05), 7)
    body.add(_front_rectangle((-0.26, 0.26), (0.56, 0.68), -h - 0.045), 7)
    _wheels(body, model, half, (h - 0.85, -h + 0.8), 0.33)
    return model


def _truck(length: float, height: float, kind: str) -> Model:
    model, half, h = Model(), 1.22, length / 2
    cab = 1.9
    model.box((-0.9, 0.9), (0.45, 0.95), (-h, h - 0.3), 1)
    head = model.extrude(
        [(h - cab, 0.5), (h, 0.5), (h + 0.05, 1.4), (h - 0.2, 2.5), (h - 0.45, 2.75), (h - cab, 2.75)],
        (half - 0.08,), [1, 0, 2, 0, 0, 0], 0, layer=1,
    )  # fmt: skip
    head.faces[2].flags |= GLASS
    for side in (-1.0, 1.0):
        x = side * (half - 0.07)
        head.add([(x, 1.5, h - 0.12), (x, 2.35, h - 0.32), (x, 2.35, h - 1.3), (x, 1.5, h - 1.3)], 2, GLASS)
        head.add(_side_rectangle(x, (0.55, 0.8), (h - cab, h)), 3)
        head.add(_front_rectangle((side * 1.08, side * 0.72), (0.72, 0.95), h + 0.06), 5, LAMP)
    head.add(_front_rectangle((-0.7, 0.7), (1.0, 1.35), h + 0.06), 1)
    head.add(_front_rectangle((-0.27, 0.27), (0.58, 0.7), h + 0.06), 7)
    deck = h - cab - 0.15
    if kind == "box":
        cargo = model.box((-half, half), (0.95, height), (-h, deck), 3, layer=1)
        for side in (-1.0, 1.0):
            x = side * (half + 0.005)
            cargo.add(_side_rectangle(x, (height * 0.5, height * 0.72), (-h + 0.8, deck - 0.8)), 8)
            cargo.add(_side_rectangle(x, (0.97, 1.12), (-h, deck)), 4)
        cargo.add(_front_rectangle((-0.02, 0.02), (1.0, height), -h - 0.005), 1)
    elif kind == "tipper":
        cargo = model.box((-half, half), (1.0, height * 0.72), (-h, deck), 3, layer=1, taper=-0.08, top=8)
        for side in (-1.0, 1.0):
            for k in range(5):
                z = -h + 0.4 + k * (deck + h - 0.8) / 4
                cargo.add(_side_rectangle(side * (half + 0.05), (1.05, height * 0.7), (z - 0.07, z + 0.07)), 4)
        model.box((-half + 0.2, half - 0.2), (height * 0.72, height * 0.88), (-h + 0.3, deck - 0.3), 8,
                  layer=2, taper=0.5, flags=GRAIN)  # fmt: skip
    elif kind == "tanker":
        angle = np.arange(10) * (2 * np.pi / 10)
        ring = [(1.18 * np.cos(a), 2.05 + 1.05 * np.sin(a)) for a in angle]
        cargo = model.loft(
            [([(x, y, -h) for x, y in ring], [0.0] * 10), ([(x, y, deck) for x, y in ring], [0.0] * 10)],
            [3], cap=3, layer=1,
        )  # fmt: skip
        for side in (-1.0, 1.0):
            cargo.add(_side_rectangle(side * 1.185, (1.85, 2.25), (-h + 0.7, deck - 0.7)), 8)
    else:
        cargo = model.box((-half, half), (0.95, 1.15), (-h, deck), 4, layer=1)
        for k in range(3):
            z = -h + 0.3 + k * (deck + h - 0.4) / 3
            model.box((-half + 0.1, half - 0.1), (1.15, 1.15 + height * (0.25 + 0.1 * k)),
                      (z, z + (deck + h) / 3 - 0.35), (8, 3, 8)[k], layer=2, flags=GRAIN)  # fmt: skip
    for side in (-1.0, 1.0):
        cargo.add(_front_rectangle((side * 1.15, side * 0.8), (0.97, 1.1), -h - 0.02), 6, LAMP)
    axles = (h - 1.0, -h + 1.1) if length < 8 else (h - 1.0, -h + 1.0, -h + 2.15)
    _wheels(cargo, model, half - 0.05, axles[1:], 0.48)
    _wheels(head, model, half - 0.05, axles[:1], 0.48)
    return model


def _two_wheeler(model: Model, radius: float, base: float, thickness: float) -> None:
    """Wheels as rings of quads, seen from the side, and as thin boxes from ahead."""
    for z in (-base / 2, base / 2):
        angle = np.arange(13) * (2 * np.pi / 12)
        for i in range(12):
            a, b = angle[i], angle[i + 1]
            points = [
                (0.0, radius + r * float(np.sin(t)), z + r * float(np.cos(t)))
                for r, t in ((radius, a), (radius, b), (radius - thickness, b), (radius - thickness, a))
            ]
            model.part((0.5, radius, z)).add(points, 1, TWO_SIDED)
        rim = model.part((0.0, radius, z))
        for sign in (-1.0, 1.0):
            rim.add(_front_rectangle((-0.025, 0.025), (0.0, 2 * radius), z + sign * 0.02), 1)


def _tube(model: Model, a: Point, b: Point, thick: float, slot: int, layer: int = 0) -> None:
    """A bar between two points in the plane of the street."""
    start, end = np.array(a), np.array(b)
    along = end - start
    across = np.array([0.0, along[2], -along[1]])
    across *= thick / 2 / max(float(np.linalg.norm(across)), 1e-6)
    wide = np.array([thick / 2, 0.0, 0.0])
    rings = [
        [tuple(p + s * across + t * wide) for s, t in ((1, 1), (1, -1), (-1, -1), (-1, 1))]
        for p in (start, end)
    ]
    model.loft([(rings[0], [0.0] * 4), (rings[1], [0.0] * 4)], [slot], cap=slot, layer=layer)


def _cyclist(racing: float, helmet: bool, bag: bool) -> Model:
    """Slots 0 shirt, 1 tyres, 2 trousers, 3 skin, 4 frame, 5 lamp, 6 rear lamp, 7 helmet or hair."""
    model = Model()
    _two_wheeler(model, 0.35, 1.05, 0.06)
    saddle, bar, crank = (0.0, 0.95, -0.22), (0.0, 1.0, 0.38), (0.0, 0.35, -0.05)
    for a, b in (
        (saddle, crank), (crank, (0.0, 0.35, -0.52)), ((0.0, 0.82, -0.18), (0.0, 0.8, 0.36)),
        (crank, (0.0, 0.72, 0.38)), (bar, (0.0, 0.35, 0.52)), ((0.0, 0.8, -0.17), (0.0, 0.35, -0.52)),
    ):  # fmt: skip
        _tube(model, a, b, 0.055, 4)
    model.box((-0.27, 0.27), (0.99, 1.04), (0.36, 0.41), 1)
    shoulder = (1.48 - 0.12 * racing, -0.02 + 0.2 * racing)
    for side, swing in ((-0.1, 1.0), (0.1, -1.0)):
        knee_swing, foot_swing = 0.16 * swing, 0.14 * swing
        for low, high, slot, s in (
            ((0.55, 0.1), (0.98, -0.2), 2, (knee_swing, 0.0)),
            ((0.2, 0.0), (0.58, 0.1), 2, (foot_swing, knee_swing)),
            ((0.13, 0.02), (0.22, 0.02), 1, (foot_swing, foot_swing)),
        ):
            model.box((side - 0.075, side + 0.075), (low[0], high[0]), (low[1] - 0.09, low[1] + 0.09),
                      slot, swing=s, shift=high[1] - low[1])  # fmt: skip
    model.box((-0.19, 0.19), (0.92, shoulder[0]), (-0.35, -0.08), 0, shift=shoulder[1] + 0.2, taper=0.01)
    for side in (-0.22, 0.22):
        model.box((side - 0.055, side + 0.055), (1.02, shoulder[0] - 0.02), (0.28, 0.4), 0,
                  shift=shoulder[1] - 0.3, layer=0)  # fmt: skip
    top, ahead = shoulder[0] + 0.2, shoulder[1] + 0.1
    model.ball((0.0, top, ahead), 0.125, 3, layer=1, stretch=1.2)
    if helmet:
        model.ball((0.0, top + 0.07, ahead), 0.15, 7, layer=2, stretch=0.8)
    else:
        model.ball((0.0, top + 0.06, ahead - 0.02), 0.13, 7, layer=2, stretch=0.9)
    if bag:
        model.box((-0.16, 0.16), (1.05, 1.5), (-0.45, -0.25), 8, shift=shoulder[1] + 0.15, layer=0)
    lamp = model.part((0.0, 0.9, 0.0), 2)
    lamp.disc((0.0, 0.88, 0.45), 0.06, "z", 5, LAMP, sides=6)
    lamp.disc((0.0, 0.75, -0.5), 0.05, "z", 6, LAMP, sides=6)
    return model


def _pedestrian(kind: str) -> Model:
    """Slots 0 upper clothes, 1 shoes, 2 trousers, 3 skin, 7 hair, 8 bag or umbrella."""
    model = Model()
    for side, swing in ((-0.1, 1.0), (0.1, -1.0)):
        bare = 3 if kind == "skirt" else 2
        foot, knee = 0.34 * swing, 0.2 * swing
        model.box((side - 0.07, side + 0.07), (0.0, 0.09), (-0.1, 0.17), 1, swing=(foot, foot))
        model.box((side - 0.065, side + 0.065), (0.07, 0.5), (-0.08, 0.08), bare, swing=(foot, knee))
        model.box((side - 0.085, side + 0.085), (0.46, 0.92), (-0.1, 0.1), bare, swing=(knee, 0.0))
    if kind == "skirt":
        model.box((-0.27, 0.27), (0.5, 0.98), (-0.22, 0.22), 2, taper=0.09, layer=1)
    if kind == "coat":
        model.box((-0.24, 0.24), (0.55, 1.0), (-0.16, 0.16), 0, taper=0.02, layer=1)
    model.box((-0.2, 0.2), (0.88, 1.2), (-0.12, 0.12), 0, taper=-0.02, layer=1)
    model.box((-0.23, 0.23), (1.18, 1.48), (-0.13, 0.13), 0, taper=0.03, layer=1)
    for side, swing in ((-0.27, -1.0), (0.27, 1.0)):
        hand, elbow = 0.26 * swing, 0.08 * swing
        model.box((side - 0.055, side + 0.055), (1.1, 1.45), (-0.07, 0.07), 0, swing=(elbow, 0.0), layer=1)
        model.box((side - 0.045, side + 0.045), (0.82, 1.12), (-0.05, 0.05), 3 if kind == "skirt" else 0,
                  swing=(hand, elbow), layer=1)  # fmt: skip
        model.box((side - 0.04, side + 0.04), (0.74, 0.84), (-0.05, 0.05), 3, swing=(hand, hand), layer=1)
    model.box((-0.06, 0.06), (1.46, 1.56), (-0.05, 0.06), 3, layer=2)
    model.ball((0.0, 1.65, 0.02), 0.115, 3, layer=3, stretch=1.2)
    model.ball((0.0, 1.71, -0.015), 0.125, 7, layer=4, stretch=0.75)
    if kind == "skirt":
        model.box((-0.1, 0.1), (1.45, 1.7), (-0.14, -0.06), 7, layer=3)
    if kind == "pack":
        model.box((-0.17, 0.17), (0.98, 1.45), (-0.32, -0.12), 8, layer=1, taper=0.03)
    if kind == "umbrella":
        angle = np.arange(8) * (2 * np.pi / 8)
        rim = [(0.58 * float(np.cos(a)), 1.88, 0.58 * float(np.sin(a))) for a in angle]
        top = [(0.12 * float(np.cos(a)), 2.12, 0.12 * float(np.sin(a))) for a in angle]
        model.loft([(rim, [0.0] * 8), (top, [0.0] * 8)], [8], cap=8, layer=5)
    return model


# ---- street furniture


def _traffic_light() -> Model:
    """The head alone, its foot at y = 0; slots 0 housing, 1 shade, 2 red, 3 amber, 4 green, 5 edge."""
    model = Model()
    head = model.box((-0.2, 0.2), (0.0, 1.08), (-0.14, 0.14), 0)
    head.add(_front_rectangle((-0.17, 0.17), (0.04, 1.04), 0.145), 1)
    for k, slot in enumerate((4, 3, 2)):
        head.disc((0.0, 0.2 + 0.34 * k, 0.15), 0.13, "z", slot, LAMP, sides=10)
    for side in (-1.0, 1.0):
        head.add(_front_rectangle((side * 0.2, side * 0.17), (0.0, 1.08), 0.15), 5)
    return model


def _pole(height: float, arm: float, lamp: bool) -> Model:
    """Slots 0 metal, 1 foot, 5 lamp."""
    model = Model()
    model.box((-0.13, 0.13), (0.0, 0.4), (-0.13, 0.13), 1, taper=0.03)
    model.box((-0.07, 0.07), (0.3, height), (-0.07, 0.07), 0, taper=0.02)
    if arm:
        model.box((-arm, 0.0), (height - 0.3, height - 0.18), (-0.05, 0.05), 0, layer=1)
    if lamp:
        head = model.box((-arm - 0.35, -arm + 0.35), (height - 0.34, height - 0.22), (-0.14, 0.14), 0, layer=2)
        head.add([(-arm - 0.3, height - 0.35, -0.1), (-arm + 0.3, height - 0.35, -0.1),
                  (-arm + 0.3, height - 0.35, 0.1), (-arm - 0.3, height - 0.35, 0.1)], 5, LAMP)  # fmt: skip
    return model


def _tree(seed: int, conifer: bool) -> Model:
    """A flat figure that is turned to the camera; slots 0 trunk, 1..3 leaves from dark to light."""
    model, random = Model(), np.random.Generator(np.random.Philox(seed))
    height = random.uniform(4.5, 8.0)
    trunk = model.part((0.0, 0.0, -1.0))
    trunk.add([(-0.17, 0.0, 0.0), (0.17, 0.0, 0.0), (0.09, height * 0.6, 0.0), (-0.09, height * 0.6, 0.0)],
              0, TWO_SIDED | GRAIN)  # fmt: skip
    if conifer:
        for k in range(6):
            low, wide = height * (0.14 + 0.14 * k), 1.7 * (1 - k / 6.5)
            crown = model.part((0.0, 0.0, -1.0), 1 + k)
            crown.add([(-wide, low, 0.0), (wide, low, 0.0), (wide * 0.12, low + height * 0.26, 0.0),
                       (-wide * 0.12, low + height * 0.26, 0.0)], 1 + k % 2, TWO_SIDED | LEAVES)  # fmt: skip
        return model
    blobs = []
    for _ in range(15):
        angle, far = random.uniform(0, 2 * np.pi), np.sqrt(random.uniform(0, 1))
        blobs.append((1.5 * far * np.cos(angle), height * 0.72 + height * 0.22 * far * np.sin(angle),
                      random.uniform(0.55, 1.0)))  # fmt: skip
    for k, (x, y, radius) in enumerate(sorted(blobs, key=lambda blob: blob[1] + blob[2] * 0.3)):
        angles = np.arange(9) * (2 * np.pi / 9) + random.uniform(0, 1)
        points = [(x + radius * float(np.cos(a)), y + radius * 0.85 * float(np.sin(a)), 0.0) for a in angles]
        crown = model.part((0.0, 0.0, -1.0), 1 + k)
        crown.add(points, 1 + min(2, k // 5), TWO_SIDED | LEAVES)
    return model


def _bush() -> Model:
    model = Model()
    for k, (x, radius) in enumerate(((-0.6, 0.5), (0.6, 0.55), (0.0, 0.7), (0.3, 0.4))):
        angles = np.arange(9) * (2 * np.pi / 9)
        points = [(x + radius * float(np.cos(a)), max(0.0, 0.45 + radius * 0.8 * float(np.sin(a))), 0.0)
                  for a in angles]  # fmt: skip
        model.part((0.0, 0.0, -1.0), k).add(points, 1 + k % 3, TWO_SIDED | LEAVES)
    return model


def _post_box() -> Model:
    model = Model()
    model.box((-0.18, 0.18), (0.0, 0.5), (-0.15, 0.15), 1)
    body = model.box((-0.28, 0.28), (0.5, 1.2), (-0.24, 0.24), 0, layer=1)
    body.add(_front_rectangle((-0.2, 0.2), (1.0, 1.06), 0.245), 1)
    body.add(_front_rectangle((-0.12, 0.12), (0.7, 0.9), 0.245), 7)
    model.box((-0.28, 0.28), (1.2, 1.3), (-0.24, 0.24), 0, layer=2, taper=0.06)
    return model


def _bin() -> Model:
    model = Model()
    model.box((-0.24, 0.24), (0.0, 0.95), (-0.24, 0.24), 0, taper=-0.06)
    model.box((-0.33, 0.33), (0.95, 1.06), (-0.34, 0.33), 3, layer=1, taper=0.05)
    return model


def _sign(shape: str) -> Model:
    model = Model()
    model.box((-0.04, 0.04), (0.0, 2.6), (-0.04, 0.04), 4)
    plate = model.part((0.0, 2.5, 0.0), 1)
    for z, rim, field_slot in ((0.06, 0, 3), (-0.06, 4, 4)):
        if shape == "round":
            plate.disc((0.0, 2.5, z), 0.36, "z", rim, sides=14)
            plate.disc((0.0, 2.5, z * 1.1), 0.27, "z", field_slot, sides=14)
        elif shape == "triangle":
            plate.add([(-0.42, 2.15, z), (0.42, 2.15, z), (0.0, 2.88, z)], rim)
            plate.add([(-0.27, 2.24, z * 1.1), (0.27, 2.24, z * 1.1), (0.0, 2.7, z * 1.1)], field_slot)
        else:
            plate.add(_front_rectangle((-0.7, 0.7), (2.1, 2.9), z), rim)
            plate.add(_front_rectangle((-0.55, 0.55), (2.4, 2.55), z * 1.1), field_slot)
            plate.add(_front_rectangle((-0.55, 0.2), (2.65, 2.78), z * 1.1), field_slot)
    return model


def _scooter() -> Model:
    """A parked scooter; slots as a cyclist's, without a rider."""
    model = Model()
    _two_wheeler(model, 0.26, 1.2, 0.11)
    model.box((-0.2, 0.2), (0.32, 0.75), (-0.75, -0.1), 0, taper=0.05)
    model.box((-0.16, 0.16), (0.75, 0.85), (-0.7, -0.05), 1, layer=1)
    model.box((-0.2, 0.2), (0.25, 0.35), (-0.2, 0.4), 0)
    model.box((-0.22, 0.22), (0.35, 1.0), (0.35, 0.48), 0, shift=0.02)
    model.box((-0.32, 0.32), (1.0, 1.07), (0.34, 0.42), 1, layer=1)
    return model


def _parked_bicycle() -> Model:
    model = Model()
    _two_wheeler(model, 0.35, 1.05, 0.05)
    for a, b in (
        ((0.0, 0.95, -0.22), (0.0, 0.35, -0.05)), ((0.0, 0.35, -0.05), (0.0, 0.35, -0.52)),
        ((0.0, 0.82, -0.18), (0.0, 0.8, 0.36)), ((0.0, 0.35, -0.05), (0.0, 0.72, 0.38)),
        ((0.0, 1.0, 0.38), (0.0, 0.35, 0.52)),
    ):  # fmt: skip
        _tube(model, a, b, 0.05, 4)
    model.box((-0.25, 0.25), (0.99, 1.04), (0.36, 0.41), 1)
    model.box((-0.08, 0.08), (0.93, 1.0), (-0.36, -0.1), 1)
    return model


def _bench() -> Model:
    model = Model()
    for z in (-0.7, 0.7):
        model.box((-0.2, 0.2), (0.0, 0.42), (z - 0.05, z + 0.05), 1)
    model.box((-0.25, 0.25), (0.42, 0.5), (-0.9, 0.9), 0, layer=1)
    model.box((0.2, 0.27), (0.5, 0.95), (-0.9, 0.9), 0, layer=1)
    return model


def _poster() -> Model:
    """An advertising column with a figure on it, which is nobody."""
    model = Model()
    body = model.box((-0.65, 0.65), (0.2, 2.6), (-0.12, 0.12), 0)
    for z in (-0.125, 0.125):
        body.add(_front_rectangle((-0.55, 0.55), (0.4, 2.5), z), 3)
        body.add(_front_rectangle((-0.28, 0.28), (0.5, 1.4), z * 1.01), 8)
        body.disc((0.0, 1.75, z * 1.02), 0.27, "z", 7, sides=10)
        body.add(_front_rectangle((-0.45, 0.45), (2.15, 2.4), z * 1.02), 8)
    model.box((-0.5, 0.5), (0.0, 0.2), (-0.1, 0.1), 1)
    return model


def _bollard() -> Model:
    model = Model()
    model.box((-0.08, 0.08), (0.0, 0.9), (-0.08, 0.08), 0, taper=0.02)
    return model


def _building(bays: int, storeys: int, style: str) -> Model:
    """A facade at x = 0 that looks to -x, 3 m a bay and a storey, 10 m deep, centred on z = 0.

    Slots 0 wall, 1 roof, 2 glass, 3 second glass, 4 lit window, 5 shop, 6 frame, 7 door,
    8 base, 9 awning.
    """
    model = Model()
    random = np.random.Generator(np.random.Philox(bays * 100 + storeys * 10 + len(style)))
    h, top, depth = bays * 1.5, storeys * 3.0 + 0.8, 10.0
    body = model.box((0.0, depth), (0.0, top), (-h, h), 0, top=1, flags=GRAIN)
    body.faces = [face for face in body.faces if face.corners[:, 1].max() > 0.1]

    def opening(face: int, along: tuple[float, float], y: tuple[float, float], slot: int, flags: int) -> None:
        """On the front (0) or an end wall (-1, 1)."""
        if face == 0:
            body.add(_side_rectangle(0.0, y, along), slot, flags)
        else:
            body.add(_front_rectangle(along, y, face * h), slot, flags)

    wide, tall = (1.9, 1.6) if style == "modern" else (1.25, 1.75)
    for face, count, start in ((0, bays, -h), (-1, 3, 0.5), (1, 3, 0.5)):
        if style == "house" or face == 0:
            opening(face, (-h, h) if face == 0 else (0.0, depth), (0.0, 0.55), 8, 0)
        for floor in range(storeys):
            for bay in range(count):
                middle = start + 3.0 * bay + 1.5
                y0 = 0.8 + floor * 3.0 + 0.35
                ground = floor == 0 and face == 0 and style != "house"
                if ground:
                    opening(0, (middle - 1.3, middle + 1.3), (0.55, 2.9), 5, GLASS)
                    opening(0, (middle - 0.04, middle + 0.04), (0.55, 2.9), 6, 0)
                    continue
                if floor == 0 and face == 0 and bay == count // 2:
                    opening(0, (middle - 0.55, middle + 0.55), (0.0, 2.3), 7, 0)
                    continue
                slot = int(random.choice([2, 2, 2, 3, 3, 4]))
                if face == 0 and style != "modern":
                    opening(0, (middle - wide / 2 - 0.14, middle + wide / 2 + 0.14),
                            (y0 - 0.14, y0 + tall + 0.14), 6, 0)  # fmt: skip
                opening(face, (middle - wide / 2, middle + wide / 2), (y0, y0 + tall), slot, GLASS)
                if face == 0 and style == "house":
                    opening(0, (middle - 0.04, middle + 0.04), (y0, y0 + tall), 6, 0)
    if style == "house":
        ridge = top + 2.6
        roof = model.part((depth / 2, top + 0.5, 0.0), 1)
        roof.add([(-0.5, top - 0.2, -h - 0.3), (-0.5, top - 0.2, h + 0.3), (depth / 2, ridge, h + 0.3),
                  (depth / 2, ridge, -h - 0.3)], 1, GRAIN)  # fmt: skip
        for end in (-1.0, 1.0):
            roof.add([(0.0, top - 0.2, end * h), (depth, top - 0.2, end * h), (depth / 2, ridge, end * h)], 0,
                     GRAIN)  # fmt: skip
    else:
        model.box((-0.25, 0.3), (top - 0.1, top + 0.35), (-h, h), 6, layer=1)
        if style == "shops":
            for bay in range(0, bays, 2):
                z = -h + 3.0 * bay + 1.5
                awning = model.part((0.3, 2.6, z), 1)
                awning.add([(0.0, 3.15, z - 1.35), (0.0, 3.15, z + 1.35), (-1.3, 2.55, z + 1.35),
                            (-1.3, 2.55, z - 1.35)], 9, TWO_SIDED)  # fmt: skip
                awning.add([(-1.3, 2.55, z - 1.35), (-1.3, 2.55, z + 1.35), (-1.3, 2.3, z + 1.35),
                            (-1.3, 2.3, z - 1.35)], 9, TWO_SIDED)  # fmt: skip
    return model


@functools.cache
def catalogue() -> tuple[Library, dict[str, tuple[int, ...]]]:
    """Return all models as arrays, and the numbers of the models of each kind."""
    kinds: dict[str, list[Model]] = {
        "car": [
            _car(4.5, 1.8, 0.95, 1.45, 1.25, 0.85, 0.75, 0.6),
            _car(4.0, 1.74, 0.95, 1.5, 1.0, 0.15, 0.7, 0.45),
            _car(4.6, 1.9, 1.1, 1.75, 1.1, 0.15, 0.6, 0.3),
            _car(4.9, 1.95, 1.1, 1.95, 0.7, 0.08, 0.75, 0.1),
            _car(4.4, 1.85, 0.88, 1.28, 1.3, 0.6, 0.95, 0.9),
            _car(3.6, 1.65, 0.98, 1.55, 0.75, 0.1, 0.6, 0.3),
            _car(4.8, 1.85, 0.95, 1.48, 1.2, 0.15, 0.75, 0.5),
        ],
        "truck": [
            _truck(7.2, 3.4, "box"), _truck(10.5, 3.8, "box"), _truck(7.4, 3.0, "tipper"),
            _truck(9.5, 3.4, "tanker"), _truck(8.2, 3.2, "flat"), _truck(6.3, 3.0, "box"),
        ],
        "pedestrian": [_pedestrian(k) for k in ("plain", "skirt", "coat", "pack", "umbrella")],
        "cyclist": [_cyclist(0.2, True, False), _cyclist(1.0, True, False), _cyclist(0.0, False, True),
                    _cyclist(0.3, False, False)],
        "traffic light": [_traffic_light()],
        "pole": [_pole(3.4, 0.0, False), _pole(6.0, 3.6, False), _pole(7.0, 1.8, True)],
        "tree": [_tree(k, k % 4 == 3) for k in range(8)],
        "bush": [_bush()],
        "furniture": [
            _post_box(), _bin(), _sign("round"), _sign("triangle"), _sign("board"), _scooter(),
            _parked_bicycle(), _bench(), _poster(), _bollard(),
        ],
        "building": [
            _building(bays, storeys, style)
            for style, sizes in (
                ("house", ((4, 2), (5, 2), (4, 3))),
                ("shops", ((5, 3), (6, 4), (5, 5), (6, 3))),
                ("modern", ((6, 5), (5, 7), (6, 9))),
            )
            for bays, storeys in sizes
        ],
    }  # fmt: skip
    vertices: list[npt.NDArray[np.float64]] = []
    faces: list[tuple[int, int, int, int]] = []
    parts: list[tuple[float, ...]] = []
    meshes: list[tuple[int, int]] = []
    numbers: dict[str, tuple[int, ...]] = {}
    corner = 0
    for kind, models in kinds.items():
        numbers[kind] = tuple(range(len(meshes), len(meshes) + len(models)))
        for model in models:
            meshes.append((len(parts), len(model.parts)))
            for part in model.parts:
                parts.append((part.layer, len(faces), len(part.faces), *part.centre))
                for face in part.faces:
                    faces.append((corner, len(face.corners), face.slot, face.flags))
                    vertices.append(np.column_stack([face.corners, face.swing]))
                    corner += len(face.corners)
    library = Library(
        np.concatenate(vertices).astype(np.float32), np.array(faces, np.int32),
        np.array(parts, np.float32), np.array(meshes, np.int32),
    )  # fmt: skip
    return library, numbers
