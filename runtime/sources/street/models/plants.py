"""Trees and bushes: flat figures that are turned to the camera.

Slots: 0 trunk, 1 to 3 leaves from dark to light.
"""

from __future__ import annotations

import numpy as np

from edge_sdk.runtime.sources.street.models.solids import GRAIN, LEAVES, TWO_SIDED, Model


def tree(seed: int, conifer: bool) -> Model:
    """A flat figure that is turned to the camera; slots 0 trunk, 1..3 leaves from dark to light."""
    model, random = Model(), np.random.Generator(np.random.Philox(seed))
    height = random.uniform(4.5, 8.0)
    trunk = model.part((0.0, 0.0, -1.0))
    trunk.add(
        [
            (-0.17, 0.0, 0.0),
            (0.17, 0.0, 0.0),
            (0.09, height * 0.6, 0.0),
            (-0.09, height * 0.6, 0.0),
        ],
        0,
        TWO_SIDED | GRAIN,
    )
    if conifer:
        for k in range(6):
            low, wide = height * (0.14 + 0.14 * k), 1.7 * (1 - k / 6.5)
            crown = model.part((0.0, 0.0, -1.0), 1 + k)
            crown.add(
                [
                    (-wide, low, 0.0),
                    (wide, low, 0.0),
                    (wide * 0.12, low + height * 0.26, 0.0),
                    (-wide * 0.12, low + height * 0.26, 0.0),
                ],
                1 + k % 2,
                TWO_SIDED | LEAVES,
            )
        return model
    blobs = []
    for _ in range(15):
        angle, far = random.uniform(0, 2 * np.pi), np.sqrt(random.uniform(0, 1))
        blobs.append(
            (
                1.5 * far * np.cos(angle),
                height * 0.72 + height * 0.22 * far * np.sin(angle),
                random.uniform(0.55, 1.0),
            )
        )
    for k, (x, y, radius) in enumerate(sorted(blobs, key=lambda blob: blob[1] + blob[2] * 0.3)):
        angles = np.arange(9) * (2 * np.pi / 9) + random.uniform(0, 1)
        points = [
            (x + radius * float(np.cos(a)), y + radius * 0.85 * float(np.sin(a)), 0.0)
            for a in angles
        ]
        crown = model.part((0.0, 0.0, -1.0), 1 + k)
        crown.add(points, 1 + min(2, k // 5), TWO_SIDED | LEAVES)
    return model


def bush() -> Model:
    """A bush."""
    model = Model()
    for k, (x, radius) in enumerate(((-0.6, 0.5), (0.6, 0.55), (0.0, 0.7), (0.3, 0.4))):
        angles = np.arange(9) * (2 * np.pi / 9)
        points = [
            (x + radius * float(np.cos(a)), max(0.0, 0.45 + radius * 0.8 * float(np.sin(a))), 0.0)
            for a in angles
        ]
        model.part((0.0, 0.0, -1.0), k).add(points, 1 + k % 3, TWO_SIDED | LEAVES)
    return model
