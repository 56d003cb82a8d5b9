"""The rendered street: a world drawn from a seed, and its frames.

A frame is a pure function of (seed, split, size, fps, index): all randomness comes from
counter-based generators and integer hashes, and a thing's place from its time alone.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edge_sdk.runtime.sources.street import _raster
from edge_sdk.runtime.sources.street.labels import MIN_HEIGHT, LabelledFrame, labelled
from edge_sdk.runtime.sources.street.layout import BEHIND, Dice, Things, draw_layout
from edge_sdk.runtime.sources.street.models import catalogue
from edge_sdk.runtime.sources.street.uri import SPLITS, Split, StreetOptions
from edge_sdk.runtime.sources.street.weather import draw_weather

Floats = npt.NDArray[np.float64]

GROW = 12.0
"""Metres at the far end of a ring over which a thing rises out of the ground."""

HEIGHTS = (1.5, 3.3, 1.8, 1.75, 1.08)
"""Metres, of the classes; what would be too low in the picture for a label is not drawn."""

WHITE = np.array((205.0, 208.0, 210.0))
"""Of marks on the road."""

TILE = 512 * 0.02
"""Period of the ground's texture in metres."""


class _Things:
    """A world's things as columns, with the part of their records that never changes."""

    def __init__(self, things: Things) -> None:
        def column(name: str) -> Floats:
            return np.array([getattr(thing, name) for thing in things.rows], float)

        self.class_id = column("class_id").astype(np.int32)
        self.s, self.x, self.y = column("s"), column("x"), column("y")
        self.speed, self.ring, self.turn = column("speed"), column("ring"), column("turn")
        self.stride, self.phase, self.nearer = column("stride"), column("phase"), column("nearer")
        self.cross_speed, self.cross_half = column("cross_speed"), column("cross_half")
        self.crosses, self.to_camera = self.cross_half > 0, column("to_camera") > 0
        self.scale = np.stack([column(f"scale_{axis}") for axis in "xyz"], axis=1)
        self.height = self.scale[:, 1] * np.array((*HEIGHTS, 0.0))[self.class_id]
        self.records = np.zeros((len(things.rows), _raster.INSTANCE_FLOATS), np.float32)
        self.records[:, 0] = column("mesh")
        for offset, name in enumerate(("shadow_x", "shadow_z", "shadow_height")):
            self.records[:, 11 + offset] = column(name)
        self.records[:, 14:] = np.reshape(things.palettes, (len(things.rows), -1))

    def ahead(self, time: float, travelled: float) -> Floats:
        """Return how far ahead of the camera everything is, in -BEHIND .. ring - BEHIND."""
        return _around(self.s + self.speed * time - travelled, self.ring)

    def walk_across(self, time: float) -> tuple[Floats, Floats]:
        """Return x and heading, to and fro for those that cross the street."""
        span = np.where(self.crosses, 4 * self.cross_half, 1.0)
        path = 2 * self.cross_half * self.phase + self.cross_speed * time
        path = path - np.floor(path / span) * span
        there = path < 2 * self.cross_half
        x = np.where(there, path - self.cross_half, 3 * self.cross_half - path)
        turn = np.where(there, math.pi / 2, -math.pi / 2)
        return np.where(self.crosses, x, self.x), np.where(self.crosses, turn, self.turn)


class _Rendering(NamedTuple):
    """A frame with everything that is known of it; objects are numbered from 1 in `ids`."""

    image: npt.NDArray[np.uint8]
    ids: npt.NDArray[np.uint16]
    boxes: npt.NDArray[np.int32]
    visible: npt.NDArray[np.uint32]
    whole: npt.NDArray[np.uint32]
    class_ids: npt.NDArray[np.int32]


def _around(s: Floats, ring: Floats | float) -> Floats:
    """Bring a position relative to the camera onto its ring."""
    shift = s + BEHIND
    return shift - np.floor(shift / ring) * ring - BEHIND


def _wave(turns: Floats) -> Floats:
    """A smooth wave of period 1 and height 1, of multiplications only."""
    t = turns - np.floor(turns)
    u = np.where(t < 0.5, t, t - 0.5)
    arch = 16.0 * u * (0.5 - u)
    return np.where(t < 0.5, arch, -arch)


class Street:
    """A camera on a street that does not exist.

    Parameters
    ----------
    seed : 0 or more; another seed is another street, weather, camera and traffic.
    size : (height, width) of the frames in pixels, 32 to 8192 a side.
    fps : frames a second of the street's time.
    split : "train", "calibration" or "val": worlds of one never occur in another.

    Raises
    ------
    EdgeError
        If a value is out of its range.
    """

    def __init__(
        self,
        seed: int,
        size: tuple[int, int] = (720, 1280),
        fps: float = 30.0,
        split: Split = "val",
    ) -> None:
        options = StreetOptions(seed=seed, size=size, fps=fps, split=split)
        self.seed, self.size, self.fps, self.split = options.seed, options.size, options.fps, split
        dice = Dice(seed, SPLITS.index(split))
        self.weather = draw_weather(dice.uniforms(24))
        self._vehicle = dice.chance(0.6)
        self.layout = draw_layout(dice, self.weather, self._vehicle)
        self._buildings = _Things(self.layout.buildings)
        self._figures = _Things(self.layout.figures)
        self._noise = int(dice.uniforms(1)[0] * 2**32)
        self._set_camera(dice)
        self._strips = self._permanent_strips()

    def frame(self, index: int) -> LabelledFrame:
        """Render frame `index` (0 or more) at time index / fps.

        Returns
        -------
        LabelledFrame
            image uint8 [h, w, 3] BGR; boxes float32 [N, 4]; class_ids int32 [N].
        """
        made = self._render(index)
        keep = labelled(made.boxes, made.visible, made.whole, self.size[0])
        return LabelledFrame(made.image, made.boxes[keep].astype(np.float32), made.class_ids[keep])

    def object_ids(self, index: int) -> npt.NDArray[np.uint16]:
        """Return which object each pixel of a frame shows [h, w]; 0 is none that is labelled."""
        return self._render(index).ids

    def _set_camera(self, dice: Dice) -> None:
        layout, width = self.layout, self.size[1]
        if self._vehicle:
            self._x = (layout.ego_lane + 0.5) * layout.lane + dice.between(-0.3, 0.3)
            self._height = dice.between(1.25, 2.6)
            self._pitch, self._yaw = math.radians(dice.between(-1.0, 5.0)), math.radians(dice.between(-5.0, 5.0))
        else:
            side = 1.0 if dice.chance(0.5) else -1.0
            self._x = side * (layout.road + dice.between(-2.0, 0.9))
            self._height = dice.between(3.2, 7.5)
            self._pitch = math.radians(6.0 + 2.2 * (self._height - 3.0) + dice.between(-2.0, 4.0))
            self._yaw = -side * math.radians(dice.between(0.0, 16.0))
        self._focal = 0.5 * width / math.tan(math.radians(dice.between(46.0, 72.0)) / 2)
        self._shiver = dice.between(0.0, 0.004) if layout.ego_speed > 0 else 0.0

    def _view(self, time: float) -> npt.NDArray[np.float32]:
        """Return the camera and the light as the rasterizer's record."""
        height, width = self.size
        weather, layout = self.weather, self.layout
        pitch = self._pitch + self._shiver * float(_wave(np.array(time * 1.7)))
        sp, cp, sy, cy = math.sin(pitch), math.cos(pitch), math.sin(self._yaw), math.cos(self._yaw)
        road = (layout.ego_speed * time) % TILE
        fog = weather.horizon * (0.97 if weather.kind == "fog" else 0.92)
        sun_up = weather.sun_colour
        return np.concatenate([
            (cy, 0.0, -sy), (-sy * sp, -cp, -cy * sp), (sy * cp, -sp, cy * cp), (self._x, self._height, road),
            (self._focal, width / 2, height / 2), weather.sun, sun_up, weather.ambient, fog,
            (weather.fog_distance,), weather.zenith, weather.horizon, weather.cloud,
            (weather.cover, (0.004 * time) % 8.0, weather.glow), layout.ground_colour, (weather.grain,),
        ]).astype(np.float32)  # fmt: skip

    def _records(
        self, things: _Things, view: npt.NDArray[np.float32], time: float
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
        """Return the things in sight, far to near, as the rasterizer's records; their classes."""
        layout = self.layout
        ahead = things.ahead(time, layout.ego_speed * time)
        x, turn = things.walk_across(time)
        x = x + layout.bend * ahead * ahead
        turn = np.where(things.to_camera, self._yaw, turn + 2 * layout.bend * ahead)
        grow = np.clip((things.ring - BEHIND - ahead) / GROW, 0.02, 1.0)
        records = things.records.copy()
        records[:, 2], records[:, 3], records[:, 4] = x, things.y * grow, ahead + float(view[11])
        records[:, 5], records[:, 6] = np.cos(turn), np.sin(turn)
        records[:, 7:10] = things.scale * grow[:, None]
        records[:, 10] = _wave(things.stride * time + things.phase)
        records[:, 13] *= grow
        dx = x - self._x
        depth = dx * float(view[6]) + ahead * float(view[8]) - self._height * float(view[7])
        seen = self._in_sight(things, view, dx, ahead, depth, grow)
        order = np.argsort(-(depth - things.nearer)[seen], kind="stable")
        return records[seen][order], things.class_id[seen][order]

    def _in_sight(
        self, things: _Things, view: npt.NDArray[np.float32],
        dx: Floats, ahead: Floats, depth: Floats, grow: Floats,
    ) -> npt.NDArray[np.bool_]:  # fmt: skip
        """Leave out what is beside or behind the picture, too low for a label, or in the way."""
        aside, nearest = np.abs(dx * float(view[0]) + ahead * float(view[2])), depth + 12.0
        inside = (nearest > 0) & (aside < nearest * (0.55 * self.size[1] / self._focal) + 14.0)
        least = 0.9 * MIN_HEIGHT * self.size[0] / self._focal
        small = (things.class_id >= 0) & (things.height * grow < least * depth)
        if self._vehicle:
            clear = (depth > 3.0) | (np.abs(dx) > 1.3)
        else:  # nobody hangs a camera behind a tree
            clear = (things.speed != 0) | things.crosses | (depth > 9.0) | (np.abs(dx) > 8.0)
        return inside & clear & ~small

    def _strip(
        self, x0: Floats | float, x1: Floats | float, z0: Floats, z1: Floats, colour: Floats,
        alpha: float, texture: float, layer: int = 0,
    ) -> Floats:  # fmt: skip
        """Return quadrilaterals from z0 to z1 and x0 to x1, along the bend, as records."""
        z0, z1, x0, x1 = np.broadcast_arrays(z0, z1, x0, x1)
        b0, b1 = self.layout.bend * z0 * z0, self.layout.bend * z1 * z1
        quads = np.empty((z0.size, _raster.PATCH_FLOATS))
        corners = (x0 + b0, z0, x1 + b0, z0, x1 + b1, z1, x0 + b1, z1)
        quads[:, :8] = np.stack([corner.ravel() for corner in corners], axis=1)
        quads[:, 8:11], quads[:, 11], quads[:, 12], quads[:, 13] = colour, alpha, texture, layer
        return quads

    def _permanent_strips(self) -> Floats:
        """Return what looks the same from everywhere on the street: road, kerbs, long lines."""
        layout = self.layout
        cuts = np.array([-6.0, 3.0, 7.0, 12.0, 18.0, 26.0, 36.0, 50.0, 70.0, 100.0, 170.0])
        near, far = cuts[:-1][::-1], cuts[1:][::-1]
        far = far + np.minimum(0.02 * far, 1.0)
        walls, road, paved = layout.walls, layout.road, layout.pavement_colour
        strips = [
            self._strip(-walls - 0.4, walls + 0.4, near, far, paved, 1.0, 16.0, 1),
            self._strip(-road - 0.18, road + 0.18, near, far, paved * 0.72, 1.0, 8.0, 2),
            self._strip(-road, road, near, far, layout.road_colour, 1.0, 24.0, 3),
        ]
        for side in (-1.0, 1.0):
            edge = side * (layout.lanes * layout.lane + 0.05)
            strips.append(self._strip(edge - 0.07, edge + 0.07, near, far, WHITE, 0.75, 10.0))
        if layout.lanes == 2:
            for x in (-0.14, 0.04):
                strips.append(self._strip(x, x + 0.1, near, far, WHITE, 0.8, 10.0))
        return np.concatenate(strips)

    def _patches(self, view: npt.NDArray[np.float32], time: float) -> npt.NDArray[np.float32]:
        """Return the ground: strips and marks, far to near, as the rasterizer's records."""
        layout = self.layout
        lane, road = layout.lane, layout.road
        travelled = layout.ego_speed * time
        first = -math.fmod(travelled, layout.dash)
        z = first + layout.dash * np.arange(int(90 / layout.dash), -1, -1)
        dashed = [n for n in range(1 - layout.lanes, layout.lanes) if n != 0 or layout.lanes == 1]
        x = np.repeat(dashed, len(z)) * lane
        z = np.tile(z, len(dashed))
        dashes = self._strip(x - 0.07, x + 0.07, z, z + layout.dash * 0.45, WHITE, 0.8, 10.0)
        ahead = _around(layout.crossings - travelled, layout.light_ring)
        bars = np.repeat(np.arange(int(2 * road)) - road + 0.25, len(ahead))
        z = np.tile(ahead, int(2 * road))
        zebra = self._strip(bars, bars + 0.5, z + 1.0, z + 4.2, WHITE, 0.8, 14.0)
        half = layout.lanes * lane
        x0, x1 = (0.1, half) if layout.side > 0 else (-half, -0.1)
        stop = self._strip(x0, x1, ahead - 1.0, ahead - 0.6, WHITE, 0.8, 12.0)
        other_stop = self._strip(-x1, -x0, ahead + 5.8, ahead + 6.2, WHITE, 0.8, 12.0)
        patches = np.concatenate([self._strips, dashes, zebra, stop, other_stop])
        patches[:, 1:8:2] += float(view[11])
        return patches.astype(np.float32)

    def _sensor(self) -> npt.NDArray[np.float32]:
        weather, scale = self.weather, self.size[0] / 720
        blur_x = math.sqrt(weather.defocus**2 + weather.shake[0] ** 2) * scale
        blur_y = math.sqrt(weather.defocus**2 + weather.shake[1] ** 2) * scale
        return np.array(
            [*weather.gain, weather.vignette, weather.read_noise, weather.shot_noise, blur_x, blur_y],
            np.float32,
        )

    def _render(self, index: int) -> _Rendering:
        time = index / self.fps
        view = self._view(time)
        buildings, _ = self._records(self._buildings, view, time)
        figures, classes = self._records(self._figures, view, time)
        objects = classes >= 0
        count = int(objects.sum())
        figures[objects, 1] = np.arange(1, count + 1)
        image, ids, boxes, visible, whole = _raster.render(
            *self.size, view, self._patches(view, time), buildings, figures, self.weather.shadow,
            catalogue()[0], self._sensor(), (self._noise + index * 0x9E3779B1) & 0xFFFFFFFF, count,
        )  # fmt: skip
        return _Rendering(image, ids, boxes, visible, whole, classes[objects])
