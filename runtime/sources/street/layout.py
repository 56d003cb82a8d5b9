"""The layout of a world: the street, and everything on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_sdk.runtime.sources.street.dice import Dice, Floats
from edge_sdk.runtime.sources.street.plan import Plan
from edge_sdk.runtime.sources.street.surroundings import (
    place_buildings,
    place_greenery_and_furniture,
    place_lights,
)
from edge_sdk.runtime.sources.street.things import Things
from edge_sdk.runtime.sources.street.traffic import place_parked, place_riders, place_traffic
from edge_sdk.runtime.sources.street.walkers import place_crossing_walkers, place_walkers
from edge_sdk.runtime.sources.street.weather import Weather

NO_LANE = 99

GRASS, PAVED = np.array((60.0, 105.0, 88.0)), np.array((120.0, 128.0, 134.0))


@dataclass(frozen=True)
class Layout:
    """A world without its weather and its camera.

    Attributes
    ----------
    plan : widths of the street.
    bend : sideways metres a square metre ahead.
    dash : metres from one dash of a lane mark to the next.
    crossings : positions of the crossings on a ring of `light_ring` metres.
    road_colour, pavement_colour, ground_colour : blue, green, red in 0..255.
    ego_lane : the camera's, where it drives: 0 and up right of the middle, -1 and down left.
    ego_speed : of the camera, metres a second.
    """

    plan: Plan
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


def draw_layout(dice: Dice, weather: Weather, vehicle: bool) -> Layout:
    """Draw a world's street; `vehicle` says that the camera drives in a lane."""
    plan = _draw_plan(dice)
    light_ring = dice.between(95.0, 130.0)
    count = 1 + dice.below(3)
    crossings = (np.arange(count) + 0.5 * dice.uniforms(count)) * (light_ring / count)
    ego = dice.below(plan.lanes) if plan.side > 0 else -1 - dice.below(plan.lanes)
    ego_speed = dice.between(2.0, 14.0) if vehicle and dice.chance(0.85) else 0.0
    night = weather.glow
    figures, buildings = Things(), Things()
    place_traffic(figures, dice, plan, night, ego if vehicle else NO_LANE, ego_speed)
    if plan.parking:
        place_parked(figures, dice, plan, night)
    rain = weather.kind == "overcast" and dice.chance(0.4)
    place_walkers(figures, dice, plan, rain)
    place_crossing_walkers(figures, dice, plan, crossings, light_ring)
    place_riders(figures, dice, plan, night)
    place_lights(figures, dice, plan, crossings, light_ring)
    place_greenery_and_furniture(figures, dice, plan, night)
    place_buildings(buildings, dice, plan, night)
    grey, pavement = dice.between(75.0, 120.0), dice.between(125.0, 175.0)
    return Layout(
        plan=plan,
        bend=dice.between(-0.0012, 0.0012) if dice.chance(0.6) else 0.0,
        dash=dice.between(6.0, 10.0),
        crossings=crossings,
        light_ring=light_ring,
        road_colour=grey + 10 * (dice.uniforms(3) - 0.5),
        pavement_colour=pavement + 22 * (dice.uniforms(3) - 0.6),
        ground_colour=GRASS if dice.chance(0.5) else PAVED,
        ego_lane=ego,
        ego_speed=ego_speed,
        buildings=buildings,
        figures=figures,
    )


def _draw_plan(dice: Dice) -> Plan:
    lanes = 1 if dice.chance(0.55) else 2
    lane, parking = dice.between(3.0, 3.7), dice.chance(0.5)
    road = lanes * lane + (2.3 if parking else 0.4)
    walls = road + dice.between(2.8, 6.0)
    return Plan(lanes, lane, road, walls, parking, 1.0 if dice.chance(0.75) else -1.0)
