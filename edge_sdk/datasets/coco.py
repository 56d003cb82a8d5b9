"""COCO data sets: one json a split, boxes as x, y, width, height in pixels, with crowd regions."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from edge_sdk.datasets.boxes import clip_box, numbers, sentences
from edge_sdk.datasets.image_size import image_size
from edge_sdk.datasets.sample import Dataset, FileSample, Labels
from edge_sdk.datasets.text import read_text
from edge_sdk.errors import EdgeError

_PREFIXES = ("instances_",)

_FIELDS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "images": {"id": (int, str), "file_name": str},
    "annotations": {"image_id": (int, str), "category_id": (int, str), "bbox": object},
    "categories": {"id": int, "name": object},
}
"""What each row of each list must have."""


def coco_files(folder: Path) -> dict[str, Path]:
    """Return the annotation files of a folder by split.

    Found are `annotations/instances_SPLIT.json` or `annotations/SPLIT.json`, the same in the
    folder itself, and `SPLIT/_annotations.coco.json`.
    """
    files = {path.parent.name: path for path in folder.glob("*/_annotations.coco.json")}
    for path in [*folder.glob("*.json"), *folder.glob("annotations/*.json")]:
        files[_split_of(path)] = path
    return files


def open_coco(path: Path) -> Dataset:
    """Open a COCO json; the images are looked for beside it and where COCO keeps them.

    Raises
    ------
    EdgeError
        If the json, an annotation in it or an image is malformed or missing; it is named.
    """
    content = _content(path)
    categories = sorted(content["categories"], key=lambda category: category["id"])
    index_of = {category["id"]: index for index, category in enumerate(categories)}
    objects: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for annotation in content["annotations"]:
        objects[annotation["image_id"]].append(annotation)
    _check_references(path, content["images"], objects)
    _check_pixels(path, content["annotations"])
    folder = _image_folder(path, content["images"])
    remarks: Counter[str] = Counter()
    samples = []
    for image in content["images"]:
        file = folder / image["file_name"]
        size = _size(path, image, file)
        labels = _labels(path, objects[image["id"]], index_of, size, remarks)
        samples.append(FileSample(file, labels))
    names = tuple(str(category["name"]) for category in categories)
    return Dataset(names, samples, str(path), _split_of(path), sentences(remarks))


def _split_of(path: Path) -> str:
    if path.name == "_annotations.coco.json":
        return path.parent.name
    for prefix in _PREFIXES:
        if path.stem.startswith(prefix):
            return path.stem[len(prefix) :]
    return path.stem


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(read_text(path))
    except ValueError as error:
        raise EdgeError(f"{path} cannot be read as JSON ({error}).") from error
    for key, fields in _FIELDS.items():
        rows = content.get(key) if isinstance(content, dict) else None
        if not isinstance(rows, list):
            raise EdgeError(f"{path} is no COCO json of objects: it has no list {key!r}.")
        for index, row in enumerate(rows):
            for name, kind in fields.items():
                if not isinstance(row, dict) or name not in row:
                    raise EdgeError(f"{path}: {key}[{index}] has no {name!r}.")
                if not isinstance(row[name], kind):
                    raise EdgeError(f"{path}: {key}[{index}] has {row[name]!r} as its {name!r}.")
    if not content["images"] or not content["categories"]:
        raise EdgeError(f"{path} lists no images or no categories.")
    return dict(content)


def _check_references(
    path: Path, images: list[dict[str, Any]], objects: dict[Any, list[dict[str, Any]]]
) -> None:
    times = Counter(image["id"] for image in images)
    if len(times) < len(images):
        raise EdgeError(f"{path}: several images have the id {times.most_common(1)[0][0]}.")
    unknown = set(objects) - set(times)
    if unknown:
        raise EdgeError(f"{path}: annotations name the image {min(unknown, key=str)}, not listed.")


def _check_pixels(path: Path, annotations: list[dict[str, Any]]) -> None:
    """Refuse a file whose every box lies between 0 and 1."""
    corners = [
        value
        for index, annotation in enumerate(annotations)
        for value in _bbox(path, annotation, index)
    ]
    if corners and max(corners) <= 1:
        raise EdgeError(
            f"{path}: all boxes lie between 0 and 1; COCO boxes are x, y, width and height in "
            "pixels."
        )


def _bbox(path: Path, annotation: dict[str, Any], index: Any) -> list[float]:
    where = f"{path}, annotation {annotation.get('id', index)}"
    bbox = annotation["bbox"]
    if not isinstance(bbox, list) or len(bbox) != 4:
        raise EdgeError(f"{where}: bbox is not a list of x, y, width and height.")
    values = numbers(bbox, where)
    if values[2] < 0 or values[3] < 0:
        raise EdgeError(f"{where}: a box of width {values[2]:g} and height {values[3]:g}.")
    return values


def _image_folder(path: Path, images: list[dict[str, Any]]) -> Path:
    """Return the folder that holds the images; a few missing ones are named, not skipped."""
    split, near, root = _split_of(path), path.parent, path.parent.parent
    folders = [
        near, near / "images", near / split, near / "images" / split,
        root, root / "images", root / split, root / "images" / split,
    ]  # fmt: skip
    names = [image["file_name"] for image in images]
    best = max(folders, key=lambda folder: sum((folder / name).is_file() for name in names[:50]))
    missing = [name for name in names if not (best / name).is_file()]
    if len(missing) == len(names):
        listed = ", ".join(str(folder) for folder in folders)
        raise EdgeError(f"The images of {path} are not there: {names[0]} is in none of {listed}.")
    if missing:
        raise EdgeError(
            f"{len(missing)} of the {len(names)} images of {path} are missing in {best}, first "
            f"{missing[0]}."
        )
    return best


def _size(path: Path, image: dict[str, Any], file: Path) -> tuple[int, int]:
    size = image_size(file)
    stated = (image.get("height"), image.get("width"))
    if None not in stated and stated != size:
        raise EdgeError(
            f"{path} says that {image['file_name']} has {stated[1]} x {stated[0]} pixels, but it "
            f"has {size[1]} x {size[0]}: the labels are not of this image."
        )
    return size


def _labels(
    path: Path,
    annotations: list[dict[str, Any]],
    index_of: dict[Any, int],
    size: tuple[int, int],
    remarks: Counter[str],
) -> Labels:
    boxes, class_ids, crowd, areas = [], [], [], []
    for annotation in annotations:
        x, y, width, height = _bbox(path, annotation, "")
        category = annotation["category_id"]
        if category not in index_of:
            raise EdgeError(
                f"{path}, annotation {annotation.get('id', '')}: category {category} is not listed."
            )
        box = clip_box((x, y, x + width, y + height), size, remarks)
        if box:
            boxes.append(box)
            class_ids.append(index_of[category])
            crowd.append(bool(annotation.get("iscrowd", 0)))
            areas += numbers([annotation.get("area") or width * height], str(path))
    return Labels.of(boxes, class_ids, crowd, None, areas)
