"""Bicycles with and without their riders, and scooters.

Slots: 0 shirt or bodywork, 1 tyres, 2 trousers, 3 skin, 4 frame, 5 lamp, 6 rear lamp,
7 helmet or hair, 8 bag.
"""

from __future__ import annotations

import numpy as np

from edge_sdk.runtime.sources.street.models.solids import (
    LAMP,
    TWO_SIDED,
    Model,
    Point,
    front_rectangle,
)


def two_wheeler(model: Model, radius: float, base: float, thickness: float) -> None:
    """Wheels as rings of quads, seen from the side, and as thin boxes from ahead."""
    for z in (-base / 2, base / 2):
        angle = np.arange(13) * (2 * np.pi / 12)
        for i in range(12):
            a, b = angle[i], angle[i + 1]
            points = [
                (0.0, radius + r * float(np.sin(t)), z + r * float(np.cos(t)))
                for r, t in (
                    (radius, a),
                    (radius, b),
                    (radius - thickness, b),
                    (radius - thickness, a),
                )
            ]
            model.part((0.5, radius, z)).add(points, 1, TWO_SIDED)
        rim = model.part((0.0, radius, z))
        for sign in (-1.0, 1.0):
            rim.add(front_rectangle((-0.025, 0.025), (0.0, 2 * radius), z + sign * 0.02), 1)


def tube(model: Model, a: Point, b: Point, thick: float, slot: int, layer: int = 0) -> None:
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


def cyclist(racing: float, helmet: bool, bag: bool) -> Model:
    """A cyclist: `racing` 0..1 bends the back; with or without a helmet and a bag."""
    model = Model()
    two_wheeler(model, 0.35, 1.05, 0.06)
    saddle, bar, crank = (0.0, 0.95, -0.22), (0.0, 1.0, 0.38), (0.0, 0.35, -0.05)
    for a, b in (
        (saddle, crank),
        (crank, (0.0, 0.35, -0.52)),
        ((0.0, 0.82, -0.18), (0.0, 0.8, 0.36)),
        (crank, (0.0, 0.72, 0.38)),
        (bar, (0.0, 0.35, 0.52)),
        ((0.0, 0.8, -0.17), (0.0, 0.35, -0.52)),
    ):
        tube(model, a, b, 0.055, 4)
    model.box((-0.27, 0.27), (0.99, 1.04), (0.36, 0.41), 1)
    shoulder = (1.48 - 0.12 * racing, -0.02 + 0.2 * racing)
    for side, swing in ((-0.1, 1.0), (0.1, -1.0)):
        knee_swing, foot_swing = 0.16 * swing, 0.14 * swing
        for low, high, slot, s in (
            ((0.55, 0.1), (0.98, -0.2), 2, (knee_swing, 0.0)),
            ((0.2, 0.0), (0.58, 0.1), 2, (foot_swing, knee_swing)),
            ((0.13, 0.02), (0.22, 0.02), 1, (foot_swing, foot_swing)),
        ):
            model.box(
                (side - 0.075, side + 0.075),
                (low[0], high[0]),
                (low[1] - 0.09, low[1] + 0.09),
                slot,
                swing=s,
                shift=high[1] - low[1],
            )
    model.box(
        (-0.19, 0.19), (0.92, shoulder[0]), (-0.35, -0.08), 0, shift=shoulder[1] + 0.2, taper=0.01
    )
    for side in (-0.22, 0.22):
        model.box(
            (side - 0.055, side + 0.055),
            (1.02, shoulder[0] - 0.02),
            (0.28, 0.4),
            0,
            shift=shoulder[1] - 0.3,
            layer=0,
        )
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


def scooter() -> Model:
    """A parked scooter; slots as a cyclist's, without a rider."""
    model = Model()
    two_wheeler(model, 0.26, 1.2, 0.11)
    model.box((-0.2, 0.2), (0.32, 0.75), (-0.75, -0.1), 0, taper=0.05)
    model.box((-0.16, 0.16), (0.75, 0.85), (-0.7, -0.05), 1, layer=1)
    model.box((-0.2, 0.2), (0.25, 0.35), (-0.2, 0.4), 0)
    model.box((-0.22, 0.22), (0.35, 1.0), (0.35, 0.48), 0, shift=0.02)
    model.box((-0.32, 0.32), (1.0, 1.07), (0.34, 0.42), 1, layer=1)
    return model


def parked_bicycle() -> Model:
    """A bicycle without a rider."""
    model = Model()
    two_wheeler(model, 0.35, 1.05, 0.05)
    for a, b in (
        ((0.0, 0.95, -0.22), (0.0, 0.35, -0.05)),
        ((0.0, 0.35, -0.05), (0.0, 0.35, -0.52)),
        ((0.0, 0.82, -0.18), (0.0, 0.8, 0.36)),
        ((0.0, 0.35, -0.05), (0.0, 0.72, 0.38)),
        ((0.0, 1.0, 0.38), (0.0, 0.35, 0.52)),
    ):
        tube(model, a, b, 0.05, 4)
    model.box((-0.25, 0.25), (0.99, 1.04), (0.36, 0.41), 1)
    model.box((-0.08, 0.08), (0.93, 1.0), (-0.36, -0.1), 1)
    return model
