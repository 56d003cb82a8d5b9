"""Cars and trucks.

Slots: 0 body, 1 tyres and shade, 2 glass, 3 second body colour, 4 metal, 5 headlights,
6 tail lights, 7 plate, 8 load.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_sdk.runtime.sources.street.models.solids import (
    GLASS,
    GRAIN,
    LAMP,
    Model,
    Part,
    front_rectangle,
    side_rectangle,
)


def wheels(body: Part, under: Model, half: float, at: Sequence[float], radius: float) -> None:
    """Discs on the body's sides; dark boxes below it that show from ahead and behind."""
    for z in at:
        for side in (-1.0, 1.0):
            x = side * (half + 0.01)
            body.disc((x, radius, z), radius, "x", 1, sides=12)
            body.disc((x, radius, z), radius * 0.58, "x", 4, sides=9)
            body.disc((x, radius, z), radius * 0.2, "x", 1, sides=6)
            inner, outer = sorted((side * (half - 0.24), side * half))
            under.box((inner, outer), (0.0, radius * 1.2), (z - radius * 0.8, z + radius * 0.8), 1)


def car(
    length: float,
    width: float,
    waist: float,
    roof: float,
    hood: float,
    boot: float,
    rake: float,
    rear_rake: float,
) -> Model:
    """`hood`, `boot`: lengths ahead of and behind the cabin's foot; rakes: cabin's slopes."""
    model, h, half = Model(), length / 2, width / 2
    model.box((-half + 0.1, half - 0.1), (0.12, 0.4), (-h + 0.15, h - 0.15), 1)
    body = model.extrude(
        [
            (-h, 0.35),
            (h, 0.35),
            (h + 0.04, 0.55),
            (h - 0.12, waist - 0.14),
            (h - hood, waist),
            (-h + boot, waist + 0.02),
            (-h + 0.06, waist - 0.04),
            (-h - 0.03, 0.6),
        ],
        (half - 0.04, half - 0.04, half, half - 0.03, half, half, half - 0.02, half),
        [1, 0, 0, 0, 0, 0, 0, 0],
        0,
        layer=1,
    )
    back, front = -h + boot, h - hood
    inset = 0.16
    cabin = model.extrude(
        [
            (back - 0.05, waist - 0.05),
            (front + 0.05, waist - 0.05),
            (front - rake, roof - 0.02),
            (front - rake - 0.25, roof),
            (back + rear_rake + 0.25, roof),
            (back + rear_rake, roof - 0.03),
        ],
        (half - 0.03, half - 0.03, half - inset, half - inset, half - inset, half - inset),
        [1, 2, 0, 0, 0, 2],
        0,
        layer=2,
    )
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
            cabin.add(
                [(xl, low, a_low), (xh, high, a_high), (xh, high, b_high), (xl, low, b_low)],
                2,
                GLASS,
            )
        body.add(side_rectangle(side * (half - 0.005), (0.36, 0.5), (-h + 0.1, h - 0.1)), 3)
        body.add(
            side_rectangle(side * half, (waist - 0.2, waist - 0.16), (middle - 0.3, middle - 0.12)),
            4,
        )
        body.add(side_rectangle(side * half, (0.5, waist), (middle - 0.012, middle + 0.012)), 1)
        for lamp, end in ((5, h + 0.045), (6, -h - 0.045)):
            outer, inner = side * (half - 0.06), side * (half - 0.46)
            body.add(front_rectangle((outer, inner), (waist - 0.32, waist - 0.17), end), lamp, LAMP)
        mirror = sorted((side * half, side * (half + 0.17)))
        model.box(
            (mirror[0], mirror[1]), (waist, waist + 0.13), (front - 0.35, front - 0.2), 0, layer=2
        )
    body.add(front_rectangle((-half * 0.5, half * 0.5), (0.5, waist - 0.26), h + 0.045), 1)
    body.add(front_rectangle((-0.26, 0.26), (0.42, 0.54), h + 0.05), 7)
    body.add(front_rectangle((-0.26, 0.26), (0.56, 0.68), -h - 0.045), 7)
    wheels(body, model, half, (h - 0.85, -h + 0.8), 0.33)
    return model


def truck(length: float, height: float, kind: str) -> Model:
    """A truck: box, tipper, tanker or flat; its length and height."""
    model, half, h = Model(), 1.22, length / 2
    cab = 1.9
    model.box((-0.9, 0.9), (0.45, 0.95), (-h, h - 0.3), 1)
    head = model.extrude(
        [
            (h - cab, 0.5),
            (h, 0.5),
            (h + 0.05, 1.4),
            (h - 0.2, 2.5),
            (h - 0.45, 2.75),
            (h - cab, 2.75),
        ],
        (half - 0.08,),
        [1, 0, 2, 0, 0, 0],
        0,
        layer=1,
    )
    head.faces[2].flags |= GLASS
    for side in (-1.0, 1.0):
        x = side * (half - 0.07)
        head.add(
            [(x, 1.5, h - 0.12), (x, 2.35, h - 0.32), (x, 2.35, h - 1.3), (x, 1.5, h - 1.3)],
            2,
            GLASS,
        )
        head.add(side_rectangle(x, (0.55, 0.8), (h - cab, h)), 3)
        head.add(front_rectangle((side * 1.08, side * 0.72), (0.72, 0.95), h + 0.06), 5, LAMP)
    head.add(front_rectangle((-0.7, 0.7), (1.0, 1.35), h + 0.06), 1)
    head.add(front_rectangle((-0.27, 0.27), (0.58, 0.7), h + 0.06), 7)
    deck = h - cab - 0.15
    if kind == "box":
        cargo = model.box((-half, half), (0.95, height), (-h, deck), 3, layer=1)
        for side in (-1.0, 1.0):
            x = side * (half + 0.005)
            cargo.add(side_rectangle(x, (height * 0.5, height * 0.72), (-h + 0.8, deck - 0.8)), 8)
            cargo.add(side_rectangle(x, (0.97, 1.12), (-h, deck)), 4)
        cargo.add(front_rectangle((-0.02, 0.02), (1.0, height), -h - 0.005), 1)
    elif kind == "tipper":
        cargo = model.box(
            (-half, half), (1.0, height * 0.72), (-h, deck), 3, layer=1, taper=-0.08, top=8
        )
        for side in (-1.0, 1.0):
            for k in range(5):
                z = -h + 0.4 + k * (deck + h - 0.8) / 4
                cargo.add(
                    side_rectangle(
                        side * (half + 0.05), (1.05, height * 0.7), (z - 0.07, z + 0.07)
                    ),
                    4,
                )
        model.box(
            (-half + 0.2, half - 0.2),
            (height * 0.72, height * 0.88),
            (-h + 0.3, deck - 0.3),
            8,
            layer=2,
            taper=0.5,
            flags=GRAIN,
        )
    elif kind == "tanker":
        angle = np.arange(10) * (2 * np.pi / 10)
        ring = [(1.18 * np.cos(a), 2.05 + 1.05 * np.sin(a)) for a in angle]
        cargo = model.loft(
            [
                ([(x, y, -h) for x, y in ring], [0.0] * 10),
                ([(x, y, deck) for x, y in ring], [0.0] * 10),
            ],
            [3],
            cap=3,
            layer=1,
        )
        for side in (-1.0, 1.0):
            cargo.add(side_rectangle(side * 1.185, (1.85, 2.25), (-h + 0.7, deck - 0.7)), 8)
    else:
        cargo = model.box((-half, half), (0.95, 1.15), (-h, deck), 4, layer=1)
        for k in range(3):
            z = -h + 0.3 + k * (deck + h - 0.4) / 3
            model.box(
                (-half + 0.1, half - 0.1),
                (1.15, 1.15 + height * (0.25 + 0.1 * k)),
                (z, z + (deck + h) / 3 - 0.35),
                (8, 3, 8)[k],
                layer=2,
                flags=GRAIN,
            )
    for side in (-1.0, 1.0):
        cargo.add(front_rectangle((side * 1.15, side * 0.8), (0.97, 1.1), -h - 0.02), 6, LAMP)
    axles = (h - 1.0, -h + 1.1) if length < 8 else (h - 1.0, -h + 1.0, -h + 2.15)
    wheels(cargo, model, half - 0.05, axles[1:], 0.48)
    wheels(head, model, half - 0.05, axles[:1], 0.48)
    return model
