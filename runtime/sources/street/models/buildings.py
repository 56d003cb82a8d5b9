"""Houses, shops and towers.

Slots: 0 wall, 1 roof, 2 glass, 3 second glass, 4 lit window, 5 shop, 6 frame, 7 door, 8 base,
9 awning.
"""

from __future__ import annotations

import numpy as np

from edge_sdk.runtime.sources.street.models.solids import (
    GLASS,
    GRAIN,
    TWO_SIDED,
    Model,
    front_rectangle,
    side_rectangle,
)


def building(bays: int, storeys: int, style: str) -> Model:
    """A facade at x = 0 that looks to -x, 3 m a bay and a storey, 10 m deep, centred on z = 0.

    Slots 0 wall, 1 roof, 2 glass, 3 second glass, 4 lit window, 5 shop, 6 frame, 7 door,
    8 base, 9 awning.
    """
    model = Model()
    random = np.random.Generator(np.random.Philox(bays * 100 + storeys * 10 + len(style)))
    h, top, depth = bays * 1.5, storeys * 3.0 + 0.8, 10.0
    body = model.box((0.0, depth), (0.0, top), (-h, h), 0, top=1, flags=GRAIN)
    body.faces = [face for face in body.faces if face.corners[:, 1].max() > 0.1]

    def opening(
        face: int, along: tuple[float, float], y: tuple[float, float], slot: int, flags: int
    ) -> None:
        """On the front (0) or an end wall (-1, 1)."""
        if face == 0:
            body.add(side_rectangle(0.0, y, along), slot, flags)
        else:
            body.add(front_rectangle(along, y, face * h), slot, flags)

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
                    opening(
                        0,
                        (middle - wide / 2 - 0.14, middle + wide / 2 + 0.14),
                        (y0 - 0.14, y0 + tall + 0.14),
                        6,
                        0,
                    )
                opening(face, (middle - wide / 2, middle + wide / 2), (y0, y0 + tall), slot, GLASS)
                if face == 0 and style == "house":
                    opening(0, (middle - 0.04, middle + 0.04), (y0, y0 + tall), 6, 0)
    if style == "house":
        ridge = top + 2.6
        roof = model.part((depth / 2, top + 0.5, 0.0), 1)
        roof.add(
            [
                (-0.5, top - 0.2, -h - 0.3),
                (-0.5, top - 0.2, h + 0.3),
                (depth / 2, ridge, h + 0.3),
                (depth / 2, ridge, -h - 0.3),
            ],
            1,
            GRAIN,
        )
        for end in (-1.0, 1.0):
            roof.add(
                [
                    (0.0, top - 0.2, end * h),
                    (depth, top - 0.2, end * h),
                    (depth / 2, ridge, end * h),
                ],
                0,
                GRAIN,
            )
    else:
        model.box((-0.25, 0.3), (top - 0.1, top + 0.35), (-h, h), 6, layer=1)
        if style == "shops":
            for bay in range(0, bays, 2):
                z = -h + 3.0 * bay + 1.5
                awning = model.part((0.3, 2.6, z), 1)
                awning.add(
                    [
                        (0.0, 3.15, z - 1.35),
                        (0.0, 3.15, z + 1.35),
                        (-1.3, 2.55, z + 1.35),
                        (-1.3, 2.55, z - 1.35),
                    ],
                    9,
                    TWO_SIDED,
                )
                awning.add(
                    [
                        (-1.3, 2.55, z - 1.35),
                        (-1.3, 2.55, z + 1.35),
                        (-1.3, 2.3, z + 1.35),
                        (-1.3, 2.3, z - 1.35),
                    ],
                    9,
                    TWO_SIDED,
                )
    return model
