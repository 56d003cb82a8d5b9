"""All models as arrays for the rasterizer, built once."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edge_sdk.runtime.sources.street.models.buildings import building
from edge_sdk.runtime.sources.street.models.furniture import (
    bench,
    bin,
    bollard,
    pole,
    post_box,
    poster,
    sign,
    traffic_light,
)
from edge_sdk.runtime.sources.street.models.people import pedestrian
from edge_sdk.runtime.sources.street.models.plants import bush, tree
from edge_sdk.runtime.sources.street.models.riders import cyclist, parked_bicycle, scooter
from edge_sdk.runtime.sources.street.models.solids import Model
from edge_sdk.runtime.sources.street.models.vehicles import car, truck


class Library(NamedTuple):
    """All models as arrays, laid out as in raster.h."""

    vertices: npt.NDArray[np.float32]
    faces: npt.NDArray[np.int32]
    parts: npt.NDArray[np.float32]
    meshes: npt.NDArray[np.int32]


@functools.cache
def catalogue() -> tuple[Library, dict[str, tuple[int, ...]]]:
    """Return all models as arrays, and the numbers of the models of each kind."""
    kinds: dict[str, list[Model]] = {
        "car": [
            car(4.5, 1.8, 0.95, 1.45, 1.25, 0.85, 0.75, 0.6),
            car(4.0, 1.74, 0.95, 1.5, 1.0, 0.15, 0.7, 0.45),
            car(4.6, 1.9, 1.1, 1.75, 1.1, 0.15, 0.6, 0.3),
            car(4.9, 1.95, 1.1, 1.95, 0.7, 0.08, 0.75, 0.1),
            car(4.4, 1.85, 0.88, 1.28, 1.3, 0.6, 0.95, 0.9),
            car(3.6, 1.65, 0.98, 1.55, 0.75, 0.1, 0.6, 0.3),
            car(4.8, 1.85, 0.95, 1.48, 1.2, 0.15, 0.75, 0.5),
        ],
        "truck": [
            truck(7.2, 3.4, "box"),
            truck(10.5, 3.8, "box"),
            truck(7.4, 3.0, "tipper"),
            truck(9.5, 3.4, "tanker"),
            truck(8.2, 3.2, "flat"),
            truck(6.3, 3.0, "box"),
        ],
        "pedestrian": [pedestrian(k) for k in ("plain", "skirt", "coat", "pack", "umbrella")],
        "cyclist": [
            cyclist(0.2, True, False),
            cyclist(1.0, True, False),
            cyclist(0.0, False, True),
            cyclist(0.3, False, False),
        ],
        "traffic light": [traffic_light()],
        "pole": [pole(3.4, 0.0, False), pole(6.0, 3.6, False), pole(7.0, 1.8, True)],
        "tree": [tree(k, k % 4 == 3) for k in range(8)],
        "bush": [bush()],
        "furniture": [
            post_box(),
            bin(),
            sign("round"),
            sign("triangle"),
            sign("board"),
            scooter(),
            parked_bicycle(),
            bench(),
            poster(),
            bollard(),
        ],
        "building": [
            building(bays, storeys, style)
            for style, sizes in (
                ("house", ((4, 2), (5, 2), (4, 3))),
                ("shops", ((5, 3), (6, 4), (5, 5), (6, 3))),
                ("modern", ((6, 5), (5, 7), (6, 9))),
            )
            for bays, storeys in sizes
        ],
    }
    vertices: list[npt.NDArray[np.float64]] = []
    faces: list[tuple[int, int, int, int]] = []
    parts: list[tuple[float, ...]] = []
    meshes: list[tuple[int, int]] = []
    numbers: dict[str, tuple[int, ...]] = {}
    corner = 0
    for kind, models in kinds.items():
        numbers[kind] = tuple(range(len(meshes), len(meshes) + len(models)))
        for model in models:
            meshes.append((len(parts), len(model.parts)))
            for part in model.parts:
                parts.append((part.layer, len(faces), len(part.faces), *part.centre))
                for face in part.faces:
                    faces.append((corner, len(face.corners), face.slot, face.flags))
                    vertices.append(np.column_stack([face.corners, face.swing]))
                    corner += len(face.corners)
    library = Library(
        np.concatenate(vertices).astype(np.float32),
        np.array(faces, np.int32),
        np.array(parts, np.float32),
        np.array(meshes, np.int32),
    )
    return library, numbers
