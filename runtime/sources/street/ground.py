"""Road, pavement and the marks on them, as quadrilaterals on the ground."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from edge_sdk.runtime.sources.street._raster import PATCH_FLOATS

from edge_sdk.runtime.sources.street.columns import around
from edge_sdk.runtime.sources.street.dice import Floats
from edge_sdk.runtime.sources.street.layout import Layout

WHITE = np.array((205.0, 208.0, 210.0))
"""Of marks on the road."""


class Ground:
    """The ground of a street, whose camera drives along it."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._strips = self._permanent()

    def _strip(
        self, x0: Floats | float, x1: Floats | float, z0: Floats, z1: Floats, colour: Floats,
        alpha: float, texture: float, layer: int = 0,
    ) -> Floats:  # fmt: skip
        """Return quadrilaterals from z0 to z1 and x0 to x1, along the bend, as records."""
        z0, z1, x0, x1 = np.broadcast_arrays(z0, z1, x0, x1)
        b0, b1 = self._layout.bend * z0 * z0, self._layout.bend * z1 * z1
        quads = np.empty((z0.size, PATCH_FLOATS))
        corners = (x0 + b0, z0, x1 + b0, z0, x1 + b1, z1, x0 + b1, z1)
        quads[:, :8] = np.stack([corner.ravel() for corner in corners], axis=1)
        quads[:, 8:11], quads[:, 11], quads[:, 12], quads[:, 13] = colour, alpha, texture, layer
        return quads

    def _permanent(self) -> Floats:
        """Return what looks the same from everywhere on the street: road, kerbs, long lines."""
        layout = self._layout
        cuts = np.array([-6.0, 3.0, 7.0, 12.0, 18.0, 26.0, 36.0, 50.0, 70.0, 100.0, 170.0])
        near, beyond = cuts[:-1][::-1], cuts[1:][::-1]
        far: Floats = beyond + np.minimum(0.02 * beyond, 1.0)
        walls, road, paved = layout.plan.walls, layout.plan.road, layout.pavement_colour
        strips = [
            self._strip(-walls - 0.4, walls + 0.4, near, far, paved, 1.0, 16.0, 1),
            self._strip(-road - 0.18, road + 0.18, near, far, paved * 0.72, 1.0, 8.0, 2),
            self._strip(-road, road, near, far, layout.road_colour, 1.0, 24.0, 3),
        ]
        for side in (-1.0, 1.0):
            edge = side * (layout.plan.lanes * layout.plan.lane + 0.05)
            strips.append(self._strip(edge - 0.07, edge + 0.07, near, far, WHITE, 0.75, 10.0))
        if layout.plan.lanes == 2:
            for x in (-0.14, 0.04):
                strips.append(self._strip(x, x + 0.1, near, far, WHITE, 0.8, 10.0))
        return np.concatenate(strips)

    def patches(self, z_of_camera: float, time: float) -> npt.NDArray[np.float32]:
        """Return strips and marks, far to near, as the rasterizer's records."""
        layout = self._layout
        lane, road = layout.plan.lane, layout.plan.road
        travelled = layout.ego_speed * time
        first = -math.fmod(travelled, layout.dash)
        z = first + layout.dash * np.arange(int(90 / layout.dash), -1, -1, dtype=np.float64)
        lanes = layout.plan.lanes
        dashed = [line for line in range(1 - lanes, lanes) if line != 0 or lanes == 1]
        x = np.repeat(dashed, len(z)) * lane
        z = np.tile(z, len(dashed))
        dashes = self._strip(x - 0.07, x + 0.07, z, z + layout.dash * 0.45, WHITE, 0.8, 10.0)
        ahead = around(layout.crossings - travelled, layout.light_ring)
        bars = np.repeat(np.arange(int(2 * road)) - road + 0.25, len(ahead))
        z = np.tile(ahead, int(2 * road))
        zebra = self._strip(bars, bars + 0.5, z + 1.0, z + 4.2, WHITE, 0.8, 14.0)
        half = lanes * lane
        x0, x1 = (0.1, half) if layout.plan.side > 0 else (-half, -0.1)
        stop = self._strip(x0, x1, ahead - 1.0, ahead - 0.6, WHITE, 0.8, 12.0)
        other_stop = self._strip(-x1, -x0, ahead + 5.8, ahead + 6.2, WHITE, 0.8, 12.0)
        patches = np.concatenate([self._strips, dashes, zebra, stop, other_stop])
        patches[:, 1:8:2] += z_of_camera
        return patches.astype(np.float32)
