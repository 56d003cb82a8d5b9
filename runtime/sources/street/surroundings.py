"""Traffic lights, trees, clutter and buildings."""

from __future__ import annotations

import math

import numpy as np

from edge_sdk.runtime.sources.street.colours import (
    CLOTHES,
    LEAVES,
    ROOFS,
    SKIN,
    VIVID,
    WALLS,
    palette,
    pick,
)
from edge_sdk.runtime.sources.street.dice import Dice, Floats
from edge_sdk.runtime.sources.street.plan import Plan
from edge_sdk.runtime.sources.street.things import LIGHT, Things


def place_lights(things: Things, dice: Dice, plan: Plan, crossings: Floats, ring: float) -> None:
    """Put traffic lights on both sides of every crossing, facing their traffic."""
    metal = palette((0, (72, 72, 74)), (1, (60, 60, 62)))
    housing = np.array((35, 38, 36)) if dice.chance(0.7) else np.array((40, 150, 170))
    arms = dice.chance(0.5)
    for crossing in crossings:
        state = dice.below(3)
        lamps = [(40, 40, 60, 0.0), (40, 60, 70, 0.0), (40, 60, 40, 0.0)]
        lamps[state] = ((60, 60, 255, 1.0), (60, 190, 255, 1.0), (150, 245, 60, 1.0))[state]
        colours = palette(
            (0, housing),
            (1, housing * 0.7),
            (2, lamps[0]),
            (3, lamps[1]),
            (4, lamps[2]),
            (5, (200, 200, 200)),
        )
        for side in (-1.0, 1.0):
            facing = math.pi if side * plan.side > 0 else 0.0
            x, s = side * (plan.road + 0.45), float(crossing) + (0.0 if facing else 5.2)
            size = dice.between(1.1, 1.4)
            things.add("pole", 0, metal, s=s, x=x, ring=ring, shadow=(0.08, 0.08, 3.4))
            things.add(
                "traffic light",
                0,
                colours,
                class_id=LIGHT,
                s=s,
                x=x,
                y=2.5,
                ring=ring,
                turn=facing,
                scale=(size, size, 1.0),
                nearer=0.3,
            )
            if arms:
                things.add(
                    "pole", 1, metal, s=s + 0.2, x=x, ring=ring, turn=0.0 if side > 0 else math.pi
                )
                things.add(
                    "traffic light",
                    0,
                    colours,
                    class_id=LIGHT,
                    s=s + 0.2,
                    x=x - side * 3.3,
                    y=4.6,
                    ring=ring,
                    turn=facing,
                    scale=(size, size, 1.0),
                    nearer=0.5,
                )


def place_greenery_and_furniture(things: Things, dice: Dice, plan: Plan, night: float) -> None:
    """Line the pavements with lamps, trees and clutter."""
    slots, gap = 14, 9.0
    trees, clutter = dice.between(0.05, 0.7), dice.between(0.15, 0.6)
    leaf = pick(dice, LEAVES, 0.4)
    for side in (-1.0, 1.0):
        for slot in range(slots):
            u = dice.uniforms(9)
            s, x = slot * gap + 3 * u[0], side * (plan.road + 0.8)
            if slot % 3 == 0:
                things.add(
                    "pole",
                    2,
                    palette(
                        (0, (80, 82, 84)),
                        (1, (60, 60, 60)),
                        (5, (150, 215, 250, 1.0 if night > 0.2 else 0.0)),
                    ),
                    s=s + 1.5,
                    x=x,
                    ring=slots * gap,
                    turn=0.0 if side > 0 else math.pi,
                    shadow=(0.08, 0.08, 7.0),
                )
            if u[1] < trees:
                size = 0.75 + 0.5 * u[2]
                shade = leaf * (0.8 + 0.4 * u[3])
                things.add(
                    "tree",
                    int(u[4] * 8),
                    palette(
                        (0, (45, 60, 80)), (1, shade * 0.62), (2, shade * 0.85), (3, shade * 1.15)
                    ),
                    s=s + 4.5,
                    x=x + side * 0.3,
                    ring=slots * gap,
                    scale=(size, size, size),
                    shadow=(1.0, 1.0, 5.5 * size),
                    to_camera=True,
                )
            elif u[1] < trees + 0.12:
                things.add(
                    "bush",
                    0,
                    palette((1, leaf * 0.6), (2, leaf * 0.9), (3, leaf * 1.15)),
                    s=s + 4.0,
                    x=side * (plan.walls - 0.8),
                    ring=slots * gap,
                    to_camera=True,
                )
            if u[5] < clutter:
                vivid, kind = pick(dice, VIVID), int(u[6] * 10)
                things.add(
                    "furniture",
                    kind,
                    palette(
                        (0, vivid),
                        (1, (40, 40, 42)),
                        (3, (235, 238, 240)),
                        (4, (120, 122, 125)),
                        (7, pick(dice, SKIN)),
                        (8, pick(dice, CLOTHES)),
                    ),
                    s=s + 6.5,
                    x=side * (plan.road + 0.6 + (plan.walls - plan.road - 1.6) * u[7] * u[7]),
                    turn=2 * math.pi * u[8] if kind in (5, 6) else (math.pi if u[8] < 0.5 else 0.0),
                    ring=slots * gap,
                    shadow=(0.25, 0.3, 1.0),
                )


def place_buildings(things: Things, dice: Dice, plan: Plan, night: float) -> None:
    """Line both sides with buildings, and some gaps."""
    lot, lots = 19.0, 10
    heights, open_share = dice.uniforms(1)[0], dice.between(0.0, 0.25)
    for side in (-1.0, 1.0):
        for number in range(lots):
            u = dice.uniforms(8)
            if u[0] < open_share:
                continue
            model = min(9, int(10 * (0.6 * heights + 0.5 * u[1] - 0.05)))
            model = max(0, model)
            wall = pick(dice, WALLS, 0.3)
            lit = min(1.0, night * 1.2)
            glass = np.array((80, 66, 56)) * (0.8 + 0.5 * u[2])
            colours = palette(
                (0, wall),
                (1, pick(dice, ROOFS)),
                (2, glass),
                (3, glass * 0.75),
                (4, (110, 190, 240, 0.9 * lit) if night > 0.2 else glass * 1.2),
                (6, wall * 0.6 + 90),
                (7, pick(dice, CLOTHES)),
                (5, (90, 140, 170, 0.7 * lit) if night > 0.2 else glass * 0.9),
                (8, wall * 0.7),
                (9, pick(dice, VIVID)),
            )
            length = (12, 15, 12, 15, 18, 15, 18, 18, 15, 18)[model]
            things.add(
                "building",
                model,
                colours,
                s=number * lot,
                ring=lots * lot,
                x=side * (plan.walls + (2.5 * u[3] if model < 3 else 0.3 * u[3])),
                turn=0.0 if side > 0 else math.pi,
                scale=(1.0, 0.92 + 0.2 * u[4], (lot - 1.0 - 3.0 * u[5] * (model < 3)) / length),
            )
