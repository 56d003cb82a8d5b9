"""Pedestrians: in groups along the pavements, and across the road."""

from __future__ import annotations

import math

from edge_sdk.runtime.sources.street.colours import person_colours
from edge_sdk.runtime.sources.street.dice import Dice, Floats
from edge_sdk.runtime.sources.street.plan import Plan
from edge_sdk.runtime.sources.street.things import PEDESTRIAN, Things


def place_walkers(things: Things, dice: Dice, plan: Plan, rain: bool) -> None:
    """Spread groups over both pavements."""
    low, high = plan.road + 0.5, plan.walls - 0.6
    crowd = dice.between(0.0, 1.0) ** 2
    groups = 4 + int(16 * crowd)
    ring = dice.between(70.0, 100.0)
    for _ in range(groups):
        u = dice.uniforms(8)
        side, speed = (-1.0 if u[0] < 0.5 else 1.0), 0.7 + 1.1 * u[1]
        heading = 0.0 if u[2] < 0.5 else math.pi
        standing = u[3] < 0.15
        members = 1 + int(4 * u[4] * u[4] * (0.5 + crowd))
        for _member in range(members):
            w = dice.uniforms(8)
            height = (0.62 + 0.2 * w[0]) if w[1] < 0.1 else 0.9 + 0.2 * w[0]
            kind = 4 if rain and w[2] < 0.5 else int(w[2] * 4)
            things.add(
                "pedestrian",
                kind,
                person_colours(dice),
                class_id=PEDESTRIAN,
                s=u[5] * ring + 2.4 * (w[3] - 0.5),
                ring=ring,
                x=side * (low + (high - low) * min(max(u[6] + 0.35 * (w[4] - 0.5), 0.0), 1.0)),
                speed=0.0 if standing else speed * math.cos(heading),
                turn=2 * math.pi * w[5] if standing else heading + 0.3 * (w[5] - 0.5),
                scale=(height * (0.9 + 0.25 * w[6]), height, height),
                shadow=(0.25, 0.2, 1.6 * height),
                stride=0.0 if standing else speed * 0.62,
                phase=w[7],
            )


def place_crossing_walkers(
    things: Things, dice: Dice, plan: Plan, crossings: Floats, ring: float
) -> None:
    """Send people across the road and back, most of them on the crossings."""
    for _ in range(int(dice.between(0.0, 6.5))):
        u, at = dice.uniforms(7), dice.below(len(crossings))
        speed, half = 0.8 + 0.8 * u[0], plan.road + 1.5
        height = 0.88 + 0.22 * u[1]
        things.add(
            "pedestrian",
            int(u[2] * 4),
            person_colours(dice),
            class_id=PEDESTRIAN,
            s=float(crossings[at]) + 1.2 + 2.6 * u[3] if u[4] < 0.7 else u[4] * ring,
            ring=ring,
            x=0.0,
            cross=(speed, half),
            scale=(height, height, height),
            shadow=(0.25, 0.2, 1.6 * height),
            stride=speed * 0.62,
            phase=u[5],
        )
