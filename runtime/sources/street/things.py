"""What stands and moves on a street.

Every thing lives on a ring: its distance ahead of the camera is taken modulo the ring's
length, so that a street has no end and any frame can be had alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from edge_sdk.runtime.sources.street.dice import Floats
from edge_sdk.runtime.sources.street.labels import CLASS_NAMES
from edge_sdk.runtime.sources.street.models import catalogue

CAR, TRUCK, PEDESTRIAN, CYCLIST, LIGHT = range(len(CLASS_NAMES))


NO_CLASS = -1


BEHIND = 14.0
"""Metres of every ring that lie behind the camera."""


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
        self,
        kind: str,
        model: int,
        palette: Floats,
        *,
        class_id: int = NO_CLASS,
        s: float,
        x: float,
        y: float = 0.0,
        speed: float = 0.0,
        ring: float,
        turn: float = 0.0,
        scale: tuple[float, float, float] = (1.0, 1.0, 1.0),
        shadow: tuple[float, float, float] = (0.0, 0.0, 0.0),
        stride: float = 0.0,
        phase: float = 0.0,
        cross: tuple[float, float] = (0.0, 0.0),
        to_camera: bool = False,
        nearer: float = 0.0,
    ) -> None:
        """Put a model of a kind on its ring.

        `turn` is the heading in radians (0 looks along +z); `stride` is in walks a second;
        `cross` is (x speed, half width) of a walk to and fro across the street.
        """
        numbers = catalogue()[1][kind]
        self.rows.append(
            Thing(
                numbers[model % len(numbers)],
                class_id,
                s,
                x,
                y,
                speed,
                ring,
                turn,
                *scale,
                *shadow,
                stride,
                phase,
                *cross,
                to_camera,
                nearer,
            )
        )
        self.palettes.append(palette)
