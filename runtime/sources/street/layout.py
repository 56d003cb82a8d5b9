"""The layout of a world: everything that stands or moves in it, as arrays.

The street runs along z. Every thing lives on a ring: its distance ahead of the camera is
taken modulo the ring's length, so that a street has no end and any frame can be had alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edge_sdk.runtime.sources.street.labels import CLASS_NAMES
from edge_sdk.runtime.sources.street.models import catalogue
from edge_sdk.runtime.sources.street.weather import Weather

Floats = npt.NDArray[np.float64]

CAR, TRUCK, PEDESTRIAN, CYCLIST, LIGHT = range(len(CLASS_NAMES))
NO_CLASS = -1

BEHIND = 14.0
"""Metres of every ring that lie behind the camera."""


class Dice:
    """Random numbers of one world, all made of uniform doubles."""

    def __init__(self, seed: int, stream: int) -> None:
        self._generator = np.random.Generator(np.random.Philox(key=np.array([seed, stream], np.uint64)))

    def uniforms(self, count: int) -> Floats:
        return self._generator.random(count)

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * float(self._generator.random())

    def chance(self, share: float) -> bool:
        return float(self._generator.random()) < share

    def below(self, count: int) -> int:
        return int(self._generator.random() * count)


class Thing(NamedTuple):
    """What stands or moves: where it is at time 0, and how it goes on. Metres and seconds."""

    mesh: int
    class_id: int
    s: float
    x: float
    y: float
    speed: float
    ring: float
    turn: float
    scale_x: float
    scale_y: float
    scale_z: float
    shadow_x: float
    shadow_z: float
    shadow_height: float
    stride: float
    phase: float
    cross_speed: float
    cross_half: float
    to_camera: bool
    nearer: float


@dataclass
class Things:
    """Things and their palettes."""

    rows: list[Thing] = field(default_factory=list)
    palettes: list[Floats] = field(default_factory=list)

    def add(
        self, kind: str, model: int, palette: Floats, *, class_id: int = NO_CLASS,
        s: float, x: float, y: float = 0.0, speed: float = 0.0, ring: float, turn: float = 0.0,
        scale: tuple[float, float, float] = (1.0, 1.0, 1.0),
        shadow: tuple[float, float, float] = (0.0, 0.0, 0.0),
        stride: float = 0.0, phase: float = 0.0, cross: tuple[float, float] = (0.0, 0.0),
        to_camera: bool = False, nearer: float = 0.0,
    ) -> None:  # fmt: skip
        """Put a model of a kind on its ring.

        `turn` is the heading in radians (0 looks along +z); `stride` is in walks a second;
        `cross` is (x speed, half width) of a walk to and fro across the street.
        """
        numbers = catalogue()[1][kind]
        self.rows.append(Thing(
            numbers[model % len(numbers)], class_id, s, x, y, speed, ring, turn, *scale, *shadow,
            stride, phase, *cross, to_camera, nearer,
        ))  # fmt: skip
        self.palettes.append(palette)


@dataclass(frozen=True)
class Layout:
    """A world without its weather and its camera.

    Attributes
    ----------
    lanes : in each direction; `lane` wide, in metres.
    road, pavement, walls : distances from the middle of the street to the road's edge, the
        pavement's edge, and the facades.
    crossings : positions of the traffic lights on a ring of `light_ring` metres.
    """

    lanes: int
    lane: float
    road: float
    walls: float
    side: float
    bend: float
    dash: float
    crossings: Floats
    light_ring: float
    road_colour: Floats
    pavement_colour: Floats
    ground_colour: Floats
    ego_lane: int
    ego_speed: float
    buildings: Things
    figures: Things


def palette(*colours: tuple[int, Floats | tuple[float, ...]]) -> Floats:
    """Return 10 slots of blue, green, red, emission; those not given are dark."""
    slots = np.full((10, 4), 30.0)
    slots[:, 3] = 0.0
    for slot, colour in colours:
        slots[slot, : len(colour)] = colour
    return slots


PAINT = np.array([
    (245, 245, 245), (205, 208, 210), (150, 152, 155), (95, 92, 90), (45, 42, 42), (28, 26, 26),
    (40, 40, 170), (35, 30, 120), (150, 80, 30), (110, 60, 25), (190, 140, 70), (60, 90, 40),
    (80, 130, 150), (50, 190, 225), (40, 110, 220), (120, 110, 60), (150, 175, 190), (70, 75, 85),
], float)  # fmt: skip
CLOTHES = np.array([
    (40, 38, 40), (70, 62, 60), (110, 75, 45), (90, 45, 25), (140, 140, 145), (220, 220, 222),
    (45, 45, 150), (50, 80, 190), (60, 160, 210), (70, 110, 60), (120, 60, 110), (170, 130, 90),
    (95, 120, 140), (60, 70, 80), (130, 170, 200), (190, 150, 200),
], float)  # fmt: skip
SKIN = np.array([(150, 180, 225), (120, 155, 205), (85, 120, 170), (55, 80, 125), (40, 58, 90)], float)
HAIR = np.array([(25, 25, 30), (35, 50, 75), (60, 110, 150), (110, 175, 205), (150, 150, 155)], float)
WALLS = np.array([
    (150, 180, 200), (110, 140, 180), (90, 105, 150), (175, 185, 190), (200, 205, 208), (120, 125, 130),
    (130, 165, 175), (80, 90, 120), (165, 150, 140), (140, 170, 205), (95, 110, 125), (180, 195, 215),
], float)  # fmt: skip
ROOFS = np.array([(60, 70, 130), (70, 75, 85), (55, 60, 95), (90, 90, 95)], float)
LEAVES = np.array([(45, 95, 60), (40, 110, 85), (50, 90, 45), (40, 110, 130), (60, 105, 80)], float)
VIVID = np.array([(40, 40, 200), (190, 110, 40), (50, 150, 60), (40, 190, 230), (60, 60, 70), (200, 200, 205)],
                 float)  # fmt: skip


def _pick(dice: Dice, colours: Floats, spread: float = 0.2) -> Floats:
    u = dice.uniforms(4)
    which, a, b, c = u.tolist()
    light = 1.0 - spread / 2 + spread * ((a + b + c) / 3.0)
    shifted: Floats = colours[int(which * len(colours))] * light + 14 * (u[1:4] - 0.5)
    return shifted


def _vehicle_colours(dice: Dice, night: float) -> Floats:
    body, second = _pick(dice, PAINT), _pick(dice, PAINT)
    on = 1.0 if night > 0.1 or dice.chance(0.25) else 0.0
    brake = 1.0 if night > 0.1 or dice.chance(0.3) else 0.0
    return palette(
        (0, body), (1, (26, 25, 25)), (2, (62, 52, 46)), (3, second if dice.chance(0.3) else body * 0.8),
        (4, (165, 165, 168)), (5, (225, 240, 250, on)), (6, (40, 30, 215 if brake else 150, brake)),
        (7, (225, 228, 230)), (8, _pick(dice, VIVID)),
    )  # fmt: skip


def _truck_colours(dice: Dice, night: float) -> Floats:
    colours = _vehicle_colours(dice, night)
    colours[3, :3] = _pick(dice, PAINT[[0, 0, 1, 2, 8, 6, 12, 16]])
    return colours


def _person_colours(dice: Dice) -> Floats:
    return palette(
        (0, _pick(dice, CLOTHES)), (1, _pick(dice, CLOTHES[:3])), (2, _pick(dice, CLOTHES[[0, 1, 2, 3, 4, 12, 13]])),
        (3, _pick(dice, SKIN)), (7, _pick(dice, HAIR)), (8, _pick(dice, CLOTHES)),
    )  # fmt: skip


def _cyclist_colours(dice: Dice, night: float) -> Floats:
    colours = _person_colours(dice)
    on = 1.0 if night > 0.1 else 0.0
    colours[1, :3] = 32
    colours[4, :3] = _pick(dice, VIVID)
    colours[5] = (230, 240, 245, on)
    colours[6] = (30, 30, 220, on)
    colours[7, :3] = _pick(dice, VIVID) if dice.chance(0.7) else colours[7, :3]
    return colours


def _traffic(things: Things, dice: Dice, layout: dict[str, float], night: float, ego: int, ego_speed: float) -> None:
    lanes, lane, side = int(layout["lanes"]), layout["lane"], layout["side"]
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
                "truck" if truck else "car", int(u[3] * 42),
                _truck_colours(dice, night) if truck else _vehicle_colours(dice, night),
                class_id=TRUCK if truck else CAR, s=s, x=x + 0.5 * (u[4] - 0.5),
                speed=speed if forward else -speed, ring=ring,
                turn=(0.0 if forward else math.pi) + 0.04 * (u[5] - 0.5),
                scale=(0.95 + 0.1 * u[6], 0.94 + 0.14 * u[7], 0.94 + 0.14 * u[6]),
                shadow=(1.2, 3.6, 3.0) if truck else (0.85, 2.1, 1.3),
            )  # fmt: skip


def _parked(things: Things, dice: Dice, layout: dict[str, float], night: float) -> None:
    share = dice.between(0.2, 0.9)
    for side in (-1.0, 1.0):
        for slot in range(16):
            u = dice.uniforms(6)
            if u[0] > share:
                continue
            truck = u[1] < 0.06
            colours = _truck_colours(dice, 0.0) if truck else _vehicle_colours(dice, 0.0)
            colours[5:7, 3] = 0.0
            things.add(
                "truck" if truck else "car", 5 if truck else int(u[2] * 42), colours,
                class_id=TRUCK if truck else CAR, s=slot * 6.6 + u[3], ring=16 * 6.6,
                x=side * (layout["road"] - 1.1), turn=0.0 if side * layout["side"] > 0 else math.pi,
                scale=(0.95 + 0.1 * u[4], 0.95 + 0.12 * u[5], 0.93 + 0.1 * u[4]),
                shadow=(0.85, 2.1, 1.3),
            )  # fmt: skip


def _walkers(things: Things, dice: Dice, layout: dict[str, float], rain: bool) -> None:
    low, high = layout["road"] + 0.5, layout["walls"] - 0.6
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
                "pedestrian", kind, _person_colours(dice), class_id=PEDESTRIAN,
                s=u[5] * ring + 2.4 * (w[3] - 0.5), ring=ring,
                x=side * (low + (high - low) * min(max(u[6] + 0.35 * (w[4] - 0.5), 0.0), 1.0)),
                speed=0.0 if standing else speed * math.cos(heading),
                turn=2 * math.pi * w[5] if standing else heading + 0.3 * (w[5] - 0.5),
                scale=(height * (0.9 + 0.25 * w[6]), height, height),
                shadow=(0.25, 0.2, 1.6 * height), stride=0.0 if standing else speed * 0.62, phase=w[7],
            )  # fmt: skip


def _crossing_walkers(things: Things, dice: Dice, layout: dict[str, float], crossings: Floats, ring: float) -> None:
    for _ in range(int(dice.between(0.0, 6.5))):
        u, at = dice.uniforms(7), dice.below(len(crossings))
        speed, half = 0.8 + 0.8 * u[0], layout["road"] + 1.5
        height = 0.88 + 0.22 * u[1]
        things.add(
            "pedestrian", int(u[2] * 4), _person_colours(dice), class_id=PEDESTRIAN,
            s=float(crossings[at]) + 1.2 + 2.6 * u[3] if u[4] < 0.7 else u[4] * ring, ring=ring, x=0.0,
            cross=(speed, half), scale=(height, height, height), shadow=(0.25, 0.2, 1.6 * height),
            stride=speed * 0.62, phase=u[5],
        )  # fmt: skip


def _riders(things: Things, dice: Dice, layout: dict[str, float], night: float, parking: bool) -> None:
    edge = layout["road"] - (2.9 if parking else 0.75)
    ring = dice.between(75.0, 110.0)
    for _ in range(int(dice.between(1.0, 8.0))):
        u = dice.uniforms(7)
        side, speed = (-1.0 if u[0] < 0.45 else 1.0), 2.8 + 3.5 * u[1]
        forward = side * layout["side"] > 0
        size = 0.92 + 0.16 * u[2]
        things.add(
            "cyclist", int(u[3] * 4), _cyclist_colours(dice, night), class_id=CYCLIST, s=u[4] * ring,
            ring=ring, x=side * (edge + 0.9 * (u[5] - 0.5)), speed=speed if forward else -speed,
            turn=(0.0 if forward else math.pi) + 0.16 * (u[6] - 0.5), scale=(size, size, size),
            shadow=(0.25, 0.85, 1.5), stride=speed * 0.28, phase=u[6],
        )  # fmt: skip


def _lights(things: Things, dice: Dice, layout: dict[str, float], crossings: Floats, ring: float) -> None:
    metal = palette((0, (72, 72, 74)), (1, (60, 60, 62)))
    housing = np.array((35, 38, 36)) if dice.chance(0.7) else np.array((40, 150, 170))
    arms = dice.chance(0.5)
    for crossing in crossings:
        state = dice.below(3)
        lamps = [(40, 40, 60, 0.0), (40, 60, 70, 0.0), (40, 60, 40, 0.0)]
        lamps[state] = ((60, 60, 255, 1.0), (60, 190, 255, 1.0), (150, 245, 60, 1.0))[state]
        colours = palette((0, housing), (1, housing * 0.7), (2, lamps[0]), (3, lamps[1]), (4, lamps[2]),
                          (5, (200, 200, 200)))  # fmt: skip
        for side in (-1.0, 1.0):
            facing = math.pi if side * layout["side"] > 0 else 0.0
            x, s = side * (layout["road"] + 0.45), float(crossing) + (0.0 if facing else 5.2)
            size = dice.between(1.1, 1.4)
            things.add("pole", 0, metal, s=s, x=x, ring=ring, shadow=(0.08, 0.08, 3.4))
            things.add("traffic light", 0, colours, class_id=LIGHT, s=s, x=x, y=2.5, ring=ring, turn=facing,
                       scale=(size, size, 1.0), nearer=0.3)  # fmt: skip
            if arms:
                things.add("pole", 1, metal, s=s + 0.2, x=x, ring=ring, turn=0.0 if side > 0 else math.pi)
                things.add("traffic light", 0, colours, class_id=LIGHT, s=s + 0.2, x=x - side * 3.3, y=4.6,
                           ring=ring, turn=facing, scale=(size, size, 1.0), nearer=0.5)  # fmt: skip


def _greenery_and_furniture(things: Things, dice: Dice, layout: dict[str, float], night: float) -> None:
    slots, gap = 14, 9.0
    trees, clutter = dice.between(0.05, 0.7), dice.between(0.15, 0.6)
    leaf = _pick(dice, LEAVES, 0.4)
    for side in (-1.0, 1.0):
        for slot in range(slots):
            u = dice.uniforms(9)
            s, x = slot * gap + 3 * u[0], side * (layout["road"] + 0.8)
            if slot % 3 == 0:
                things.add(
                    "pole", 2, palette((0, (80, 82, 84)), (1, (60, 60, 60)), (5, (150, 215, 250, 1.0 if night > 0.2 else 0.0))),
                    s=s + 1.5, x=x, ring=slots * gap, turn=0.0 if side > 0 else math.pi, shadow=(0.08, 0.08, 7.0),
                )  # fmt: skip
            if u[1] < trees:
                size = 0.75 + 0.5 * u[2]
                shade = leaf * (0.8 + 0.4 * u[3])
                things.add(
                    "tree", int(u[4] * 8), palette((0, (45, 60, 80)), (1, shade * 0.62), (2, shade * 0.85), (3, shade * 1.15)),
                    s=s + 4.5, x=x + side * 0.3, ring=slots * gap, scale=(size, size, size),
                    shadow=(1.0, 1.0, 5.5 * size), to_camera=True,
                )  # fmt: skip
            elif u[1] < trees + 0.12:
                things.add("bush", 0, palette((1, leaf * 0.6), (2, leaf * 0.9), (3, leaf * 1.15)), s=s + 4.0,
                           x=side * (layout["walls"] - 0.8), ring=slots * gap, to_camera=True)  # fmt: skip
            if u[5] < clutter:
                vivid, kind = _pick(dice, VIVID), int(u[6] * 10)
                things.add(
                    "furniture", kind,
                    palette((0, vivid), (1, (40, 40, 42)), (3, (235, 238, 240)), (4, (120, 122, 125)),
                            (7, _pick(dice, SKIN)), (8, _pick(dice, CLOTHES))),
                    s=s + 6.5, x=side * (layout["road"] + 0.6 + (layout["walls"] - layout["road"] - 1.6) * u[7] * u[7]),
                    turn=2 * math.pi * u[8] if kind in (5, 6) else (math.pi if u[8] < 0.5 else 0.0),
                    ring=slots * gap, shadow=(0.25, 0.3, 1.0),
                )  # fmt: skip


def _buildings(things: Things, dice: Dice, layout: dict[str, float], night: float) -> None:
    lot, lots = 19.0, 10
    heights, open_share = dice.uniforms(1)[0], dice.between(0.0, 0.25)
    for side in (-1.0, 1.0):
        for number in range(lots):
            u = dice.uniforms(8)
            if u[0] < open_share:
                continue
            model = min(9, int(10 * (0.6 * heights + 0.5 * u[1] - 0.05)))
            model = max(0, model)
            wall = _pick(dice, WALLS, 0.3)
            lit = min(1.0, night * 1.2)
            glass = np.array((80, 66, 56)) * (0.8 + 0.5 * u[2])
            colours = palette(
                (0, wall), (1, _pick(dice, ROOFS)), (2, glass), (3, glass * 0.75),
                (4, (110, 190, 240, 0.9 * lit) if night > 0.2 else glass * 1.2), (6, wall * 0.6 + 90), (7, _pick(dice, CLOTHES)),
                (5, (90, 140, 170, 0.7 * lit) if night > 0.2 else glass * 0.9), (8, wall * 0.7), (9, _pick(dice, VIVID)),
            )  # fmt: skip
            length = (12, 15, 12, 15, 18, 15, 18, 18, 15, 18)[model]
            things.add(
                "building", model, colours, s=number * lot, ring=lots * lot,
                x=side * (layout["walls"] + (2.5 * u[3] if model < 3 else 0.3 * u[3])),
                turn=0.0 if side > 0 else math.pi,
                scale=(1.0, 0.92 + 0.2 * u[4], (lot - 1.0 - 3.0 * u[5] * (model < 3)) / length),
            )  # fmt: skip


def draw_layout(dice: Dice, weather: Weather, vehicle: bool) -> Layout:
    """Draw a world's street; `vehicle` says that the camera drives in a lane."""
    lanes = 1 if dice.chance(0.55) else 2
    lane, parking = dice.between(3.0, 3.7), dice.chance(0.5)
    road = lanes * lane + (2.3 if parking else 0.4)
    walls = road + dice.between(2.8, 6.0)
    side = 1.0 if dice.chance(0.75) else -1.0
    plan = {"lanes": float(lanes), "lane": lane, "road": road, "walls": walls, "side": side}
    light_ring = dice.between(95.0, 130.0)
    count = 1 + dice.below(3)
    crossings = (np.arange(count) + 0.5 * dice.uniforms(count)) * (light_ring / count)
    ego = dice.below(lanes) if side > 0 else -1 - dice.below(lanes)
    ego_speed = dice.between(2.0, 14.0) if vehicle and dice.chance(0.85) else 0.0
    night = weather.glow
    figures, buildings = Things(), Things()
    _traffic(figures, dice, plan, night, ego if vehicle else 99, ego_speed)
    if parking:
        _parked(figures, dice, plan, night)
    _walkers(figures, dice, plan, weather.kind == "overcast" and dice.chance(0.4))
    _crossing_walkers(figures, dice, plan, crossings, light_ring)
    _riders(figures, dice, plan, night, parking)
    _lights(figures, dice, plan, crossings, light_ring)
    _greenery_and_furniture(figures, dice, plan, night)
    _buildings(buildings, dice, plan, night)
    grey = dice.between(75.0, 120.0)
    pavement = dice.between(125.0, 175.0)
    return Layout(
        lanes=lanes, lane=lane, road=road, walls=walls, side=side,
        bend=dice.between(-0.0012, 0.0012) if dice.chance(0.6) else 0.0, dash=dice.between(6.0, 10.0),
        crossings=crossings, light_ring=light_ring,
        road_colour=grey + 10 * (dice.uniforms(3) - 0.5),
        pavement_colour=pavement + 22 * (dice.uniforms(3) - 0.6),
        ground_colour=np.array((60.0, 105.0, 88.0)) if dice.chance(0.5) else np.array((120.0, 128.0, 134.0)),
        ego_lane=ego, ego_speed=ego_speed, buildings=buildings, figures=figures,
    )  # fmt: skip
