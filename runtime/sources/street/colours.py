"""Palettes: ten slots of blue, green, red and emission a thing."""

from __future__ import annotations

import numpy as np

from edge_sdk.runtime.sources.street.dice import Dice, Floats


def palette(*colours: tuple[int, Floats | tuple[float, ...]]) -> Floats:
    """Return 10 slots of blue, green, red, emission; those not given are dark."""
    slots = np.full((10, 4), 30.0)
    slots[:, 3] = 0.0
    for slot, colour in colours:
        slots[slot, : len(colour)] = colour
    return slots


PAINT = np.array(
    [
        (245, 245, 245),
        (205, 208, 210),
        (150, 152, 155),
        (95, 92, 90),
        (45, 42, 42),
        (28, 26, 26),
        (40, 40, 170),
        (35, 30, 120),
        (150, 80, 30),
        (110, 60, 25),
        (190, 140, 70),
        (60, 90, 40),
        (80, 130, 150),
        (50, 190, 225),
        (40, 110, 220),
        (120, 110, 60),
        (150, 175, 190),
        (70, 75, 85),
    ],
    float,
)


CLOTHES = np.array(
    [
        (40, 38, 40),
        (70, 62, 60),
        (110, 75, 45),
        (90, 45, 25),
        (140, 140, 145),
        (220, 220, 222),
        (45, 45, 150),
        (50, 80, 190),
        (60, 160, 210),
        (70, 110, 60),
        (120, 60, 110),
        (170, 130, 90),
        (95, 120, 140),
        (60, 70, 80),
        (130, 170, 200),
        (190, 150, 200),
    ],
    float,
)


SKIN = np.array(
    [(150, 180, 225), (120, 155, 205), (85, 120, 170), (55, 80, 125), (40, 58, 90)], float
)


HAIR = np.array(
    [(25, 25, 30), (35, 50, 75), (60, 110, 150), (110, 175, 205), (150, 150, 155)], float
)


WALLS = np.array(
    [
        (150, 180, 200),
        (110, 140, 180),
        (90, 105, 150),
        (175, 185, 190),
        (200, 205, 208),
        (120, 125, 130),
        (130, 165, 175),
        (80, 90, 120),
        (165, 150, 140),
        (140, 170, 205),
        (95, 110, 125),
        (180, 195, 215),
    ],
    float,
)


ROOFS = np.array([(60, 70, 130), (70, 75, 85), (55, 60, 95), (90, 90, 95)], float)


LEAVES = np.array([(45, 95, 60), (40, 110, 85), (50, 90, 45), (40, 110, 130), (60, 105, 80)], float)


VIVID = np.array(
    [(40, 40, 200), (190, 110, 40), (50, 150, 60), (40, 190, 230), (60, 60, 70), (200, 200, 205)],
    float,
)


def pick(dice: Dice, colours: Floats, spread: float = 0.2) -> Floats:
    """Draw one of the colours, a little lighter or darker and shifted."""
    u = dice.uniforms(4)
    which, a, b, c = u.tolist()
    light = 1.0 - spread / 2 + spread * ((a + b + c) / 3.0)
    shifted: Floats = colours[int(which * len(colours))] * light + 14 * (u[1:4] - 0.5)
    return shifted


def vehicle_colours(dice: Dice, night: float) -> Floats:
    """Draw the palette of a car; lamps are lit when it is dark."""
    body, second = pick(dice, PAINT), pick(dice, PAINT)
    on = 1.0 if night > 0.1 or dice.chance(0.25) else 0.0
    brake = 1.0 if night > 0.1 or dice.chance(0.3) else 0.0
    return palette(
        (0, body),
        (1, (26, 25, 25)),
        (2, (62, 52, 46)),
        (3, second if dice.chance(0.3) else body * 0.8),
        (4, (165, 165, 168)),
        (5, (225, 240, 250, on)),
        (6, (40, 30, 215 if brake else 150, brake)),
        (7, (225, 228, 230)),
        (8, pick(dice, VIVID)),
    )


def truck_colours(dice: Dice, night: float) -> Floats:
    """Draw the palette of a truck."""
    colours = vehicle_colours(dice, night)
    colours[3, :3] = pick(dice, PAINT[[0, 0, 1, 2, 8, 6, 12, 16]])
    return colours


def person_colours(dice: Dice) -> Floats:
    """Draw the palette of somebody on foot."""
    return palette(
        (0, pick(dice, CLOTHES)),
        (1, pick(dice, CLOTHES[:3])),
        (2, pick(dice, CLOTHES[[0, 1, 2, 3, 4, 12, 13]])),
        (3, pick(dice, SKIN)),
        (7, pick(dice, HAIR)),
        (8, pick(dice, CLOTHES)),
    )


def cyclist_colours(dice: Dice, night: float) -> Floats:
    """Draw the palette of a cyclist; lamps are lit when it is dark."""
    colours = person_colours(dice)
    on = 1.0 if night > 0.1 else 0.0
    colours[1, :3] = 32
    colours[4, :3] = pick(dice, VIVID)
    colours[5] = (230, 240, 245, on)
    colours[6] = (30, 30, 220, on)
    colours[7, :3] = pick(dice, VIVID) if dice.chance(0.7) else colours[7, :3]
    return colours
