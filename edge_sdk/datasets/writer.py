"""Writing frames of the test camera as a data set, with YOLO and COCO labels side by side.

DIR/data.yaml                        names, and the folder of the split
DIR/images/SPLIT/000000.png
DIR/labels/SPLIT/000000.txt          class, centre and size, relative to the picture
DIR/annotations/instances_SPLIT.json the same boxes in pixels, as COCO has them
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import EdgeError, MissingExtra
from edge_sdk.files import replacing
from edge_sdk.progress import Progress, silent
from edge_sdk.runtime.sources.street import (
    CLASS_NAMES,
    LabelledFrame,
    labelled_frames,
    parse_street_uri,
)

ImageFormat = Literal["png", "jpg"]
FRAMES = 500
"""Frames of a data set when nobody says how many."""

JPEG_QUALITY = 95


@dataclass(frozen=True)
class Written:
    """What `write_dataset` wrote.

    Attributes
    ----------
    folder : of the data set.
    frames : number of images.
    objects : class name -> number of boxes.
    """

    folder: Path
    frames: int
    objects: dict[str, int]


def write_dataset(
    address: str,
    output: Path | str,
    *,
    frames: int | None = None,
    image_format: ImageFormat = "png",
    progress: Progress = silent,
) -> Written:
    """Write frames of the test camera as images and labels, all of them or nothing.

    The frames are those that `test://street` names for calibration and evaluation too: four of
    every world, three seconds apart.

    Parameters
    ----------
    address : `test://street?seed=&size=&fps=&split=&frames=`.
    output : a folder that does not exist yet, or is empty.
    frames : number of images; without it, the address's, or 500.
    image_format : "png" keeps every pixel; "jpg" (quality 95) is a tenth of the size.

    Raises
    ------
    EdgeError
        If the address is malformed, the folder is in use or cannot be written, or the disk is
        full; then nothing is left behind.
    MissingExtra
        If OpenCV is not installed.
    """
    options = parse_street_uri(address)
    count = frames or options.frames or FRAMES
    if count < 1:
        raise EdgeError(f"{count} frames cannot be written: give 1 or more.")
    encode = _encoder(image_format)
    output = Path(output)
    _check_unused(output)
    labels = _Labels(options.size)
    with replacing(output) as folder:
        images, texts = folder / "images" / options.split, folder / "labels" / options.split
        for made in (images, texts, folder / "annotations"):
            made.mkdir(parents=True)
        for number, frame in enumerate(labelled_frames(options, count)):
            name = f"{number:06d}"
            (images / f"{name}.{image_format}").write_bytes(encode(frame.image))
            lines = labels.add(f"{options.split}/{name}.{image_format}", frame)
            (texts / f"{name}.txt").write_text(lines, encoding="utf-8")
            progress(number + 1, count, "Frames")
        annotations = folder / "annotations" / f"instances_{options.split}.json"
        annotations.write_text(json.dumps(labels.coco(address)), encoding="utf-8")
        (folder / "data.yaml").write_text(_data_yaml(options.split), encoding="utf-8")
    return Written(output, count, labels.objects)


@dataclass
class _Labels:
    """The labels so far."""

    size: tuple[int, int]
    images: list[dict[str, Any]] = field(default_factory=list)
    annotations: list[dict[str, Any]] = field(default_factory=list)

    def add(self, file_name: str, frame: LabelledFrame) -> str:
        """Keep a frame's boxes for COCO and return its lines for YOLO."""
        height, width = self.size
        image_id = len(self.images) + 1
        self.images.append(
            {"id": image_id, "file_name": file_name, "width": width, "height": height}
        )
        lines = []
        for box, class_id in zip(frame.boxes.tolist(), frame.class_ids.tolist(), strict=True):
            x1, y1, x2, y2 = box
            w, h = x2 - x1, y2 - y1
            relative = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, w / width, h / height)
            lines.append(f"{class_id} " + " ".join(f"{value:.9f}" for value in relative) + "\n")
            self.annotations.append(
                {
                    "id": len(self.annotations) + 1, "image_id": image_id,
                    "category_id": class_id + 1, "bbox": [x1, y1, w, h], "area": w * h,
                    "iscrowd": 0,
                }
            )  # fmt: skip
        return "".join(lines)

    def coco(self, address: str) -> dict[str, Any]:
        """Return the COCO json; its categories count from 1."""
        categories = [{"id": index + 1, "name": name} for index, name in enumerate(CLASS_NAMES)]
        return {
            "info": {"description": address},
            "images": self.images,
            "annotations": self.annotations,
            "categories": categories,
        }

    @property
    def objects(self) -> dict[str, int]:
        counts = np.bincount(
            [annotation["category_id"] - 1 for annotation in self.annotations],
            minlength=len(CLASS_NAMES),
        )
        return dict(zip(CLASS_NAMES, counts.tolist(), strict=True))


def _encoder(image_format: ImageFormat) -> Callable[[npt.NDArray[np.uint8]], bytes]:
    try:
        import cv2
    except ImportError as error:
        raise MissingExtra("opencv-python-headless", "camera", "Writing images") from error
    settings = {"png": [], "jpg": [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]}
    if image_format not in settings:
        raise EdgeError(f"{image_format!r} is no image format of data sets: give png or jpg.")

    def encode(image: npt.NDArray[np.uint8]) -> bytes:
        return bytes(cv2.imencode(f".{image_format}", image, settings[image_format])[1])

    return encode


def _check_unused(output: Path) -> None:
    try:
        used = output.exists() and (not output.is_dir() or any(output.iterdir()))
    except OSError as error:
        raise EdgeError(f"Cannot write {output}: {error.strerror}.") from error
    if used:
        raise EdgeError(f"{output} exists already: remove it, or give another folder.")


def _data_yaml(split: str) -> str:
    names = "".join(f"  {index}: {name}\n" for index, name in enumerate(CLASS_NAMES))
    return f"path: .\n{split}: images/{split}\nnames:\n{names}"
