"""Pedestrians.

Slots: 0 upper clothes, 1 shoes, 2 trousers or skirt, 3 skin, 7 hair, 8 bag or umbrella.
"""

from __future__ import annotations

import numpy as np

from edge_sdk.runtime.sources.street.models.solids import Model


def pedestrian(kind: str) -> Model:
    """Slots 0 upper clothes, 1 shoes, 2 trousers, 3 skin, 7 hair, 8 bag or umbrella."""
    model = Model()
    for side, swing in ((-0.1, 1.0), (0.1, -1.0)):
        bare = 3 if kind == "skirt" else 2
        foot, knee = 0.34 * swing, 0.2 * swing
        model.box((side - 0.07, side + 0.07), (0.0, 0.09), (-0.1, 0.17), 1, swing=(foot, foot))
        model.box(
            (side - 0.065, side + 0.065), (0.07, 0.5), (-0.08, 0.08), bare, swing=(foot, knee)
        )
        model.box((side - 0.085, side + 0.085), (0.46, 0.92), (-0.1, 0.1), bare, swing=(knee, 0.0))
    if kind == "skirt":
        model.box((-0.27, 0.27), (0.5, 0.98), (-0.22, 0.22), 2, taper=0.09, layer=1)
    if kind == "coat":
        model.box((-0.24, 0.24), (0.55, 1.0), (-0.16, 0.16), 0, taper=0.02, layer=1)
    model.box((-0.2, 0.2), (0.88, 1.2), (-0.12, 0.12), 0, taper=-0.02, layer=1)
    model.box((-0.23, 0.23), (1.18, 1.48), (-0.13, 0.13), 0, taper=0.03, layer=1)
    for side, swing in ((-0.27, -1.0), (0.27, 1.0)):
        hand, elbow = 0.26 * swing, 0.08 * swing
        model.box(
            (side - 0.055, side + 0.055), (1.1, 1.45), (-0.07, 0.07), 0, swing=(elbow, 0.0), layer=1
        )
        model.box(
            (side - 0.045, side + 0.045),
            (0.82, 1.12),
            (-0.05, 0.05),
            3 if kind == "skirt" else 0,
            swing=(hand, elbow),
            layer=1,
        )
        model.box(
            (side - 0.04, side + 0.04), (0.74, 0.84), (-0.05, 0.05), 3, swing=(hand, hand), layer=1
        )
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
