"""The rendered street: a world drawn from a seed, and its frames.

A frame is a pure function of (seed, split, size, fps, index): all randomness comes from
counter-based generators and integer hashes, and a thing's place from its time alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from edge_sdk.runtime.sources.street._raster import render

from edge_sdk.runtime.sources.street.columns import Columns, wave
from edge_sdk.runtime.sources.street.dice import Dice, Floats
from edge_sdk.runtime.sources.street.ground import Ground
from edge_sdk.runtime.sources.street.labels import MIN_HEIGHT, LabelledFrame, labelled
from edge_sdk.runtime.sources.street.layout import draw_layout
from edge_sdk.runtime.sources.street.models import catalogue
from edge_sdk.runtime.sources.street.things import BEHIND
from edge_sdk.runtime.sources.street.uri import SPLITS, Split, StreetOptions
from edge_sdk.runtime.sources.street.weather import draw_weather

GROW = 12.0
"""Metres at the far end of a ring over which a thing rises out of the ground."""

TILE = 512 * 0.02
"""Period of the ground's texture in metres."""


@dataclass(frozen=True)
class _View:
    """Camera and light as the rasterizer's record."""

    record: npt.NDArray[np.float32]

    @property
    def right(self) -> list[float]:
        """The camera's right in the world."""
        return list(map(float, self.record[0:3]))

    @property
    def forward(self) -> list[float]:
        """The direction in which the camera looks."""
        return list(map(float, self.record[6:9]))

    @property
    def z(self) -> float:
        """Where the camera is along the street, modulo the period of the ground's texture."""
        return float(self.record[11])


class _Rendering(NamedTuple):
    """A frame with everything that is known of it; objects are numbered from 1 in `ids`.

    `things` are the same objects by numbers that hold in all frames.
    """

    image: npt.NDArray[np.uint8]
    ids: npt.NDArray[np.uint16]
    boxes: npt.NDArray[np.int32]
    visible: npt.NDArray[np.uint32]
    whole: npt.NDArray[np.uint32]
    class_ids: npt.NDArray[np.int32]
    things: npt.NDArray[np.int64]


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
        self._buildings = Columns(self.layout.buildings)
        self._figures = Columns(self.layout.figures)
        self._ground = Ground(self.layout)
        self._noise = int(dice.uniforms(1)[0] * 2**32)
        self._set_camera(dice)

    def frame(self, index: int) -> LabelledFrame:
        """Render frame `index` (0 or more) at time index / fps.

        Returns
        -------
        LabelledFrame
            image uint8 [h, w, 3] BGR; boxes float32 [N, 4]; class_ids int32 [N].
        """
        return self.followed(index)[0]

    def followed(self, index: int) -> tuple[LabelledFrame, npt.NDArray[np.int64]]:
        """Return what `frame` does, and a number for the thing in each box, int64 [N].

        It stays with a thing through all frames, until it leaves the street; what comes in at
        the other end in its place has another.
        """
        made = self._render(index)
        keep = labelled(made.boxes, made.visible, made.whole, self.size[0])
        boxes = made.boxes[keep].astype(np.float32)
        return LabelledFrame(made.image, boxes, made.class_ids[keep]), made.things[keep]

    def object_ids(self, index: int) -> npt.NDArray[np.uint16]:
        """Return which object each pixel of a frame shows [h, w]; 0 is none that is labelled."""
        return self._render(index).ids.copy()

    def _set_camera(self, dice: Dice) -> None:
        layout, width = self.layout, self.size[1]
        if self._vehicle:
            self._x = (layout.ego_lane + 0.5) * layout.plan.lane + dice.between(-0.3, 0.3)
            self._height = dice.between(1.25, 2.6)
            self._pitch, self._yaw = (
                math.radians(dice.between(-1.0, 5.0)),
                math.radians(dice.between(-5.0, 5.0)),
            )
        else:
            side = 1.0 if dice.chance(0.5) else -1.0
            self._x = side * (layout.plan.road + dice.between(-2.0, 0.9))
            self._height = dice.between(3.2, 7.5)
            self._pitch = math.radians(6.0 + 2.2 * (self._height - 3.0) + dice.between(-2.0, 4.0))
            self._yaw = -side * math.radians(dice.between(0.0, 16.0))
        self._focal = 0.5 * width / math.tan(math.radians(dice.between(46.0, 72.0)) / 2)
        self._shiver = dice.between(0.0, 0.004) if layout.ego_speed > 0 else 0.0

    def _view(self, time: float) -> _View:
        """Return the camera and the light as the rasterizer's record."""
        height, width = self.size
        weather, layout = self.weather, self.layout
        pitch = self._pitch + self._shiver * float(wave(np.array(time * 1.7)))
        sp, cp, sy, cy = math.sin(pitch), math.cos(pitch), math.sin(self._yaw), math.cos(self._yaw)
        road = (layout.ego_speed * time) % TILE
        fog = weather.horizon * (0.97 if weather.kind == "fog" else 0.92)
        record = np.concatenate([
            (cy, 0.0, -sy), (-sy * sp, -cp, -cy * sp), (sy * cp, -sp, cy * cp),
            (self._x, self._height, road), (self._focal, width / 2, height / 2),
            weather.sun, weather.sun_colour, weather.ambient, fog, (weather.fog_distance,),
            weather.zenith, weather.horizon, weather.cloud,
            (weather.cover, (0.004 * time) % 8.0, weather.glow),
            layout.ground_colour, (weather.grain,),
        ])  # fmt: skip
        return _View(record.astype(np.float32))

    def _records(
        self, things: Columns, view: _View, time: float
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """Return the things in sight, far to near, as the rasterizer's records, and which."""
        layout = self.layout
        ahead = things.ahead(time, layout.ego_speed * time)
        x, turn = things.walk_across(time)
        x = x + layout.bend * ahead * ahead
        turn = np.where(things.to_camera, self._yaw, turn + 2 * layout.bend * ahead)
        grow = np.clip((things.ring - BEHIND - ahead) / GROW, 0.02, 1.0)
        records = things.records.copy()
        records[:, 2], records[:, 3], records[:, 4] = x, things.y * grow, ahead + view.z
        records[:, 5], records[:, 6] = np.cos(turn), np.sin(turn)
        records[:, 7:10] = things.scale * grow[:, None]
        records[:, 10] = wave(things.stride * time + things.phase)
        records[:, 13] *= grow
        dx = x - self._x
        (right, _, right_z), (forward, fall, forward_z) = view.right, view.forward
        depth = dx * forward + ahead * forward_z - self._height * fall
        aside = np.abs(dx * right + ahead * right_z)
        seen = self._in_sight(things, dx, aside, depth, grow)
        order = np.argsort(-(depth - things.nearer)[seen], kind="stable")
        return records[seen][order], np.flatnonzero(seen)[order]

    def _in_sight(
        self, things: Columns, dx: Floats, aside: Floats, depth: Floats, grow: Floats
    ) -> npt.NDArray[np.bool_]:
        """Leave out what is beside or behind the picture, too low for a label, or in the way."""
        nearest = depth + 12.0
        inside = (nearest > 0) & (aside < nearest * (0.55 * self.size[1] / self._focal) + 14.0)
        least = 0.9 * MIN_HEIGHT * self.size[0] / self._focal
        small = (things.class_id >= 0) & (things.height * grow < least * depth)
        if self._vehicle:
            clear = (depth > 3.0) | (np.abs(dx) > 1.3)
        else:  # nobody hangs a camera behind a tree
            clear = (things.speed != 0) | things.crosses | (depth > 9.0) | (np.abs(dx) > 8.0)
        seen: npt.NDArray[np.bool_] = inside & clear & ~small
        return seen

    def _sensor(self) -> npt.NDArray[np.float32]:
        weather, scale = self.weather, self.size[0] / 720
        blur_x = math.sqrt(weather.defocus**2 + weather.shake[0] ** 2) * scale
        blur_y = math.sqrt(weather.defocus**2 + weather.shake[1] ** 2) * scale
        noise = (weather.read_noise, weather.shot_noise)
        return np.array([*weather.gain, weather.vignette, *noise, blur_x, blur_y], np.float32)

    def _render(self, index: int) -> _Rendering:
        time = index / self.fps
        view = self._view(time)
        buildings, _ = self._records(self._buildings, view, time)
        figures, which = self._records(self._figures, view, time)
        classes = self._figures.class_id[which]
        objects = classes >= 0
        count = int(objects.sum())
        figures[objects, 1] = np.arange(1, count + 1)
        patches = self._ground.patches(view.z, time)
        noise_seed = (self._noise + index * 0x9E3779B1) & 0xFFFFFFFF
        image, ids, boxes, visible, whole = render(
            *self.size, view.record, patches, buildings, figures, self.weather.shadow,
            catalogue()[0], self._sensor(), noise_seed, count,
        )  # fmt: skip
        rounds = self._figures.rounds(time, self.layout.ego_speed * time)
        things = which + len(rounds) * rounds[which]
        return _Rendering(image, ids, boxes, visible, whole, classes[objects], things[objects])
