"""Light, air and sensor of a world: time of day and weather."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Colour = tuple[float, float, float]
"""Blue, green, red."""


@dataclass(frozen=True)
class Sky:
    """One kind of light; colours blue, green, red; light as factors on colours."""

    share: float
    sun: Colour
    ambient: Colour
    zenith: Colour
    horizon: Colour
    cloud: Colour
    fog: tuple[float, float]
    elevation: tuple[float, float]
    cover: tuple[float, float]
    shadow: float
    glow: float
    noise: tuple[float, float]


SKIES = {
    "clear": Sky(0.3, (0.52, 0.6, 0.66), (0.56, 0.5, 0.47), (205, 135, 70), (235, 212, 190),
                 (252, 250, 248), (180, 420), (28, 65), (0.15, 0.75), 0.5, 0.0, (0.5, 2.5)),
    "golden": Sky(0.14, (0.28, 0.5, 0.75), (0.5, 0.42, 0.42), (170, 115, 85), (130, 185, 250),
                  (150, 195, 250), (130, 300), (12, 24), (0.2, 0.8), 0.45, 0.15, (0.6, 3.0)),
    "overcast": Sky(0.22, (0.12, 0.12, 0.12), (0.68, 0.68, 0.67), (195, 188, 180), (222, 218, 214),
                    (235, 232, 230), (120, 260), (45, 80), (0.5, 1.0), 0.26, 0.05, (0.8, 3.5)),
    "fog": Sky(0.09, (0.05, 0.05, 0.05), (0.66, 0.66, 0.66), (205, 203, 200), (208, 206, 204),
               (210, 208, 206), (32, 75), (45, 80), (0.0, 0.1), 0.2, 0.25, (1.0, 4.0)),
    "dusk": Sky(0.12, (0.08, 0.1, 0.16), (0.48, 0.41, 0.39), (110, 70, 50), (120, 130, 200),
                (105, 95, 125), (110, 240), (10, 20), (0.3, 0.9), 0.18, 0.55, (1.5, 5.0)),
    "night": Sky(0.13, (0.05, 0.06, 0.07), (0.31, 0.3, 0.31), (38, 24, 18), (62, 46, 40),
                 (52, 42, 40), (80, 170), (50, 80), (0.2, 0.8), 0.2, 0.9, (2.5, 7.0)),
}  # fmt: skip


@dataclass(frozen=True)
class Weather:
    """A world's light, drawn once."""

    kind: str
    sun: npt.NDArray[np.float64]
    sun_colour: npt.NDArray[np.float64]
    ambient: npt.NDArray[np.float64]
    zenith: npt.NDArray[np.float64]
    horizon: npt.NDArray[np.float64]
    cloud: npt.NDArray[np.float64]
    fog_distance: float
    cover: float
    shadow: float
    glow: float
    grain: float
    read_noise: float
    shot_noise: float
    gain: npt.NDArray[np.float64]
    vignette: float
    defocus: float
    shake: tuple[float, float]


def draw_weather(u: npt.NDArray[np.float64]) -> Weather:
    """Make a weather of 24 uniform numbers in [0, 1)."""
    shares = np.cumsum([sky.share for sky in SKIES.values()])
    kind = list(SKIES)[int(np.searchsorted(shares, u[0] * shares[-1], side="right"))]
    sky = SKIES[kind]

    def between(ends: tuple[float, float], t: float) -> float:
        return ends[0] + (ends[1] - ends[0]) * t

    elevation = math.radians(between(sky.elevation, u[1]))
    azimuth = 2.0 * math.pi * u[2]
    sun = np.array(
        [math.cos(elevation) * math.sin(azimuth), math.sin(elevation),
         math.cos(elevation) * math.cos(azimuth)]
    )  # fmt: skip
    light = 0.85 + 0.3 * u[3]
    tint = 1.0 + 0.06 * (u[4:7] - 0.5)
    noise = between(sky.noise, u[7] * u[7])
    blurred, shaken = u[8] < 0.3, u[9] < 0.25
    return Weather(
        kind=kind,
        sun=sun,
        sun_colour=np.array(sky.sun) * light,
        ambient=np.array(sky.ambient) * light,
        zenith=np.array(sky.zenith) * (0.9 + 0.2 * u[10]),
        horizon=np.array(sky.horizon) * (0.94 + 0.1 * u[10]),
        cloud=np.array(sky.cloud),
        fog_distance=between(sky.fog, u[11]),
        cover=between(sky.cover, u[12]),
        shadow=sky.shadow,
        glow=sky.glow,
        grain=0.6 + 0.8 * u[13],
        read_noise=noise * 0.5,
        shot_noise=noise * 0.5,
        gain=tint * (0.82 + 0.6 * u[14] if u[15] < 0.7 else 1.05),
        vignette=0.45 * u[16] * u[16],
        defocus=1.8 * u[17] if blurred else 0.35,
        shake=(3.0 * u[18], 1.2 * u[19]) if shaken else (0.0, 0.0),
    )
