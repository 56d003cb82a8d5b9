"""YOLO data sets: a data.yaml, folders of images, and one text file of labels an image.

A label line is `class cx cy w h`, relative to the image's width and height, or
`class x1 y1 x2 y2 x3 y3 ...`, a polygon, whose box is taken. The label of
`.../images/.../name.jpg` is `.../labels/.../name.txt` (the last `images` counts), or stands
beside the image where no folder is called `images`. An image without a label file holds no
object.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from edge_sdk.datasets.boxes import Box, clip_box, numbers, sentences
from edge_sdk.datasets.image_size import image_size
from edge_sdk.datasets.sample import Dataset, FileSample, Labels
from edge_sdk.datasets.splits import find_split
from edge_sdk.datasets.text import read_text
from edge_sdk.errors import EdgeError
from edge_sdk.images import SUFFIXES, list_images

_NOT_SPLITS = frozenset(("path", "names", "nc", "download", "roboflow"))
_SLACK = 0.1
"""How far a relative coordinate may leave 0..1 before it can only be a pixel."""
UNLABELLED = "images have no label file: taken as images without objects"
ORPHANS = "label files belong to no image"


def open_yolo(yaml_path: Path, split: str) -> Dataset:
    """Open a split of a YOLO data set.

    Raises
    ------
    EdgeError
        If the yaml, a path in it or a label is malformed or missing; files and lines are named.
    """
    settings = _settings(yaml_path)
    names = _names(settings, yaml_path)
    found = find_split(split, [key for key in settings if _is_split(settings, key)], yaml_path)
    remarks: Counter[str] = Counter()
    paths = _images(settings, found, yaml_path)
    samples = [FileSample(path, _labels(path, len(names), remarks)) for path in paths]
    if orphans := _orphans(paths):
        remarks[ORPHANS] = orphans
    if remarks[UNLABELLED] == len(samples):
        raise EdgeError(
            f"None of the {len(samples)} images of {yaml_path}, split {found!r}, has a label "
            f"file: looked for {label_path(paths[0])} and so on."
        )
    return Dataset(names, samples, str(yaml_path), found, sentences(remarks))


def label_path(image: Path) -> Path:
    """Return where the labels of an image are."""
    folders = list(image.parent.parts)
    if "images" in folders:
        last = len(folders) - 1 - folders[::-1].index("images")
        folders[last] = "labels"
    return Path(*folders, image.stem + ".txt")


def _settings(path: Path) -> dict[str, Any]:
    import yaml

    try:
        settings = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise EdgeError(f"{path} cannot be read as YAML ({reason}).") from error
    if not isinstance(settings, dict):
        raise EdgeError(f"{path} is no data.yaml: it needs the keys names and train, val or test.")
    return settings


def _names(settings: dict[str, Any], path: Path) -> tuple[str, ...]:
    names, count = settings.get("names"), settings.get("nc")
    if isinstance(names, dict):
        by_index = {str(key): name for key, name in names.items()}
        if set(by_index) != {str(index) for index in range(len(names))}:
            raise EdgeError(f"{path}: the keys of names must be 0, 1, 2 and so on without a gap.")
        names = [by_index[str(index)] for index in range(len(names))]
    if names is None and isinstance(count, int):
        names = [f"class {index}" for index in range(count)]
    if not isinstance(names, list) or not names:
        raise EdgeError(f"{path} needs the key names: a list of class names, or index: name.")
    if isinstance(count, int) and count != len(names):
        raise EdgeError(f"{path} says nc: {count}, but names {len(names)} classes.")
    return tuple(map(str, names))


def _is_split(settings: dict[str, Any], key: Any) -> bool:
    value = settings[key]
    return key not in _NOT_SPLITS and bool(value) and isinstance(value, str | list)


def _images(settings: dict[str, Any], split: str, yaml_path: Path) -> list[Path]:
    values = settings[split]
    paths: list[Path] = []
    for value in [values] if isinstance(values, str) else values:
        place = _place(settings, str(value), yaml_path)
        paths += list_images(place)
    return list(dict.fromkeys(paths))


def _place(settings: dict[str, Any], value: str, yaml_path: Path) -> Path:
    """Resolve a path of the yaml against `path`, the yaml's folder, and without leading `../`.

    The last is a common slip of exported data sets: `../train/images` in the root folder.
    """
    folder = yaml_path.parent
    root = folder / str(settings.get("path") or ".")
    stripped = value
    while stripped.startswith("../"):
        stripped = stripped[3:]
    tried = [root / value, folder / value, folder / stripped]
    for place in tried:
        if place.exists():
            return place
    listed = " and ".join(dict.fromkeys(map(str, tried)))
    raise EdgeError(f"{yaml_path} names {value!r}, which does not exist: looked for {listed}.")


def _orphans(images: list[Path]) -> int:
    """Return how many files in the folders of labels belong to no image on disk.

    Where labels stand beside their images, any text may lie there, and none is counted.
    """
    folders = {image.parent for image in images}
    there = (file for folder in folders for file in folder.iterdir())
    expected = {label_path(file) for file in there if file.suffix.lower() in SUFFIXES}
    label_folders = {label.parent for label in expected} - folders
    found = {label for folder in label_folders for label in folder.glob("*.txt")}
    return len(found - expected)


def _labels(image: Path, classes: int, remarks: Counter[str]) -> Labels:
    path = label_path(image)
    if not path.exists():
        remarks[UNLABELLED] += 1
        return Labels.of([], [])
    lines = read_text(path).splitlines()
    rows = [(number, line.split()) for number, line in enumerate(lines, 1) if line.strip()]
    boxes, class_ids = [], []
    size = image_size(image) if rows else (0, 0)
    for number, fields in rows:
        class_id, relative = _parse(fields, classes, f"{path}:{number}")
        box = clip_box(_pixels(relative, size), size, remarks)
        if box:
            boxes.append(box)
            class_ids.append(class_id)
    return Labels.of(boxes, class_ids)


def _parse(fields: list[str], classes: int, where: str) -> tuple[int, Box]:
    """Return the class and the relative box x1, y1, x2, y2 of one line."""
    class_id, *values = numbers(fields, where)
    if class_id != int(class_id) or not 0 <= class_id < classes:
        raise EdgeError(f"{where}: class {fields[0]} is not one of 0 to {classes - 1}.")
    if len(values) != 4 and (len(values) < 6 or len(values) % 2):
        raise EdgeError(
            f"{where}: {len(fields)} numbers, where a box has 5 (class, centre x, centre y, "
            "width, height) and a polygon an odd number from 7."
        )
    if len(values) == 4 and min(values[2:]) < 0:
        raise EdgeError(f"{where}: a box of width {values[2]:g} and height {values[3]:g}.")
    for value in values:
        if value < -_SLACK or value > 1 + _SLACK:
            raise EdgeError(
                f"{where}: {value:g} is not between 0 and 1: coordinates are relative to the "
                "image's width and height, not pixels."
            )
    if len(values) > 4:
        xs, ys = values[0::2], values[1::2]
        return int(class_id), (min(xs), min(ys), max(xs), max(ys))
    x, y, width, height = values
    return int(class_id), (x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def _pixels(box: Box, size: tuple[int, int]) -> Box:
    height, width = size
    return box[0] * width, box[1] * height, box[2] * width, box[3] * height
