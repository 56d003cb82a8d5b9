"""Cars, trucks and cyclists: driving, queueing, parked."""

from __future__ import annotations

import math

from edge_sdk.runtime.sources.street.colours import cyclist_colours, truck_colours, vehicle_colours
from edge_sdk.runtime.sources.street.dice import Dice
from edge_sdk.runtime.sources.street.plan import Plan
from edge_sdk.runtime.sources.street.things import CAR, CYCLIST, TRUCK, Things


def place_traffic(
    things: Things, dice: Dice, plan: Plan, night: float, ego: int, ego_speed: float
) -> None:
    """Fill the lanes; the camera's own (`ego`) moves as it does and keeps its place free."""
    lanes, lane, side = plan.lanes, plan.lane, plan.side
    jam = dice.chance(0.15)
    density, trucks = dice.between(0.15, 0.95), dice.between(0.05, 0.4)
    for number in range(-lanes, lanes):
        forward = (number >= 0) == (side > 0)
        x = (number + 0.5) * lane
        speed = dice.between(0.0, 1.5) if jam else dice.between(4.0, 14.0)
        if number == ego:
            speed = ego_speed
        gap = dice.between(7.5, 10.0) if jam else dice.between(12.0, 24.0)
        count = max(3, int(dice.between(75.0, 115.0) / gap))
        ring = count * gap
        for slot in range(count):
            u = dice.uniforms(8)
            if u[0] > density:
                continue
            s = (slot + 0.3 * (u[1] - 0.5)) * gap
            if number == ego and min(s % ring, ring - s % ring) < 9.0:
                continue
            truck = gap > 12.0 and u[2] < trucks
            things.add(
                "truck" if truck else "car",
                int(u[3] * 42),
                truck_colours(dice, night) if truck else vehicle_colours(dice, night),
                class_id=TRUCK if truck else CAR,
                s=s,
                x=x + 0.5 * (u[4] - 0.5),
                speed=speed if forward else -speed,
                ring=ring,
                turn=(0.0 if forward else math.pi) + 0.04 * (u[5] - 0.5),
                scale=(0.95 + 0.1 * u[6], 0.94 + 0.14 * u[7], 0.94 + 0.14 * u[6]),
                shadow=(1.2, 3.6, 3.0) if truck else (0.85, 2.1, 1.3),
            )


def place_parked(things: Things, dice: Dice, plan: Plan, night: float) -> None:
    """Park cars, and a few trucks, along both kerbs."""
    share = dice.between(0.2, 0.9)
    for side in (-1.0, 1.0):
        for slot in range(16):
            u = dice.uniforms(6)
            if u[0] > share:
                continue
            truck = u[1] < 0.06
            colours = truck_colours(dice, 0.0) if truck else vehicle_colours(dice, 0.0)
            colours[5:7, 3] = 0.0
            things.add(
                "truck" if truck else "car",
                5 if truck else int(u[2] * 42),
                colours,
                class_id=TRUCK if truck else CAR,
                s=slot * 6.6 + u[3],
                ring=16 * 6.6,
                x=side * (plan.road - 1.1),
                turn=0.0 if side * plan.side > 0 else math.pi,
                scale=(0.95 + 0.1 * u[4], 0.95 + 0.12 * u[5], 0.93 + 0.1 * u[4]),
                shadow=(0.85, 2.1, 1.3),
            )


def place_riders(things: Things, dice: Dice, plan: Plan, night: float) -> None:
    """Send cyclists along the edges of the road."""
    edge = plan.road - (2.9 if plan.parking else 0.75)
    ring = dice.between(75.0, 110.0)
    for _ in range(int(dice.between(1.0, 8.0))):
        u = dice.uniforms(7)
        side, speed = (-1.0 if u[0] < 0.45 else 1.0), 2.8 + 3.5 * u[1]
        forward = side * plan.side > 0
        size = 0.92 + 0.16 * u[2]
        things.add(
            "cyclist",
            int(u[3] * 4),
            cyclist_colours(dice, night),
            class_id=CYCLIST,
            s=u[4] * ring,
            ring=ring,
            x=side * (edge + 0.9 * (u[5] - 0.5)),
            speed=speed if forward else -speed,
            turn=(0.0 if forward else math.pi) + 0.16 * (u[6] - 0.5),
            scale=(size, size, size),
            shadow=(0.25, 0.85, 1.5),
            stride=speed * 0.28,
            phase=u[6],
        )
