"""Pascal VOC data sets: Annotations/*.xml, JPEGImages, and splits in ImageSets/Main.

Or, as exporters write it, SPLIT/*.xml beside the images of each split.

Corners are pixels counted from 1 and inclusive, so that x1, y1 = xmin - 1, ymin - 1. The class
names are those of a labels.txt (one a line) in the folder where there is one, else all names
of all annotations in alphabetical order, so that every split has the same.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from edge_sdk.datasets.boxes import clip_box, numbers, sentences
from edge_sdk.datasets.image_size import image_size
from edge_sdk.datasets.sample import Dataset, FileSample, Labels
from edge_sdk.datasets.splits import find_split
from edge_sdk.datasets.text import read_text
from edge_sdk.errors import EdgeError
from edge_sdk.images import list_images

UNLABELLED = "images have no annotation: taken as images without objects"
ORPHANS = "annotations belong to no image"


class _Annotation(NamedTuple):
    """A file and what it holds."""

    path: Path
    root: ElementTree.Element


def is_voc(folder: Path) -> bool:
    """Whether a folder is a Pascal VOC tree."""
    return (folder / "Annotations").is_dir() or bool(_split_folders(folder))


def open_voc(folder: Path, split: str) -> Dataset:
    """Open a split of a Pascal VOC tree.

    Raises
    ------
    EdgeError
        If an annotation is malformed, or an image of the split is missing; the file is named.
    """
    if not (folder / "Annotations").is_dir():
        return _open_beside(folder, split)
    lists = folder / "ImageSets" / "Main"
    files = {path.stem: path for path in lists.glob("*.txt")}
    # Lists a class (dog_train.txt) say which images hold it; they are no splits.
    splits = {name: path for name, path in files.items() if "_" not in name}
    found = find_split(split, splits, lists)
    annotations = _annotations(folder / "Annotations")
    names = _names(folder, annotations.values())
    images = _images(folder)
    stems = []
    for line in read_text(splits[found]).splitlines():
        if not line.strip():
            continue
        # A number may follow the name, which may hold spaces itself.
        stem = line.strip() if line.strip() in images else line.split()[0]
        if stem not in images:
            raise EdgeError(f"{splits[found]} lists {stem}, which is not in JPEGImages.")
        stems.append(stem)
    if not stems:
        raise EdgeError(f"{splits[found]} lists no image.")
    samples, remarks = _samples(stems, images, annotations, names)
    return Dataset(names, samples, str(folder), found, remarks)


def _open_beside(folder: Path, split: str) -> Dataset:
    """Open a split whose annotations lie beside its images."""
    folders = _split_folders(folder)
    found = find_split(split, folders, folder)
    annotations = {name: _annotations(place) for name, place in folders.items()}
    names = _names(folder, [one for some in annotations.values() for one in some.values()])
    images = {path.stem: path for path in list_images(folders[found])}
    samples, remarks = _samples(list(images), images, annotations[found], names)
    return Dataset(names, samples, str(folder), found, remarks)


def _split_folders(folder: Path) -> dict[str, Path]:
    return {path.parent.name: path.parent for path in folder.glob("*/*.xml")}


def _annotations(place: Path) -> dict[str, _Annotation]:
    """Read all annotations of a folder, by the stem of their names."""
    return {path.stem: _Annotation(path, _tree(path)) for path in sorted(place.glob("*.xml"))}


def _samples(
    stems: Iterable[str],
    images: Mapping[str, Path],
    annotations: Mapping[str, _Annotation],
    names: tuple[str, ...],
) -> tuple[list[FileSample], tuple[str, ...]]:
    """Return the images of a split with their labels, and remarks."""
    remarks: Counter[str] = Counter()
    if orphans := len(set(annotations) - set(images)):
        remarks[ORPHANS] = orphans
    samples = []
    for stem in stems:
        if stem not in annotations:
            remarks[UNLABELLED] += 1
        labels = _labels(annotations.get(stem), images[stem], names, remarks)
        samples.append(FileSample(images[stem], labels))
    return samples, sentences(remarks)


def _tree(path: Path) -> ElementTree.Element:
    try:
        return ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise EdgeError(f"{path} cannot be read as XML ({error}).") from error


def _names(folder: Path, annotations: Iterable[_Annotation]) -> tuple[str, ...]:
    for name in ("labels.txt", "classes.txt"):
        if (folder / name).is_file():
            lines = read_text(folder / name).splitlines()
            return tuple(line.strip() for line in lines if line.strip())
    found = {_name(item) for one in annotations for item in one.root.iter("object")} - {""}
    if not found:
        raise EdgeError(f"No annotation of {folder} names an object.")
    return tuple(sorted(found))


def _name(item: ElementTree.Element) -> str:
    return (item.findtext("name") or "").strip()


def _images(folder: Path) -> dict[str, Path]:
    place = folder / "JPEGImages"
    if not place.is_dir():
        raise EdgeError(f"{folder} has Annotations, but no folder JPEGImages.")
    return {path.stem: path for path in list_images(place)}


def _labels(
    annotation: _Annotation | None,
    image: Path,
    names: tuple[str, ...],
    remarks: Counter[str],
) -> Labels:
    if annotation is None:
        return Labels.of([], [])
    path, tree = annotation
    size = image_size(image)
    _check_size(path, tree, image, size)
    corners = []
    boxes, class_ids, difficult = [], [], []
    for index, item in enumerate(tree.iter("object")):
        where = f"{path}, object {index + 1}"
        if _name(item) not in names:
            raise EdgeError(f"{where}: class {_name(item)!r} is not one of {', '.join(names)}.")
        x1, y1, x2, y2 = _corners(item, where)
        corners += [x1, y1, x2, y2]
        box = clip_box((x1 - 1, y1 - 1, x2, y2), size, remarks)
        if box:
            boxes.append(box)
            class_ids.append(names.index(_name(item)))
            difficult.append((item.findtext("difficult") or "0").strip() == "1")
    if corners and max(corners) <= 1:
        raise EdgeError(f"{path}: all boxes lie between 0 and 1; VOC boxes are in pixels.")
    return Labels.of(boxes, class_ids, None, difficult)


def _corners(item: ElementTree.Element, where: str) -> list[float]:
    fields = [item.findtext(f"bndbox/{name}") for name in ("xmin", "ymin", "xmax", "ymax")]
    if None in fields:
        raise EdgeError(f"{where}: no bndbox with xmin, ymin, xmax and ymax.")
    x1, y1, x2, y2 = numbers(fields, where)
    if x2 < x1 or y2 < y1:
        raise EdgeError(f"{where}: an inverted box, from {x1:g}, {y1:g} to {x2:g}, {y2:g}.")
    return [x1, y1, x2, y2]


def _check_size(path: Path, tree: ElementTree.Element, image: Path, size: tuple[int, int]) -> None:
    stated = (tree.findtext("size/height") or "0", tree.findtext("size/width") or "0")
    height, width = (int(value) for value in numbers(stated, f"{path}, size"))
    if height and width and (height, width) != size:
        raise EdgeError(
            f"{path} says {width} x {height} pixels, but {image} has {size[1]} x {size[0]}: the "
            "labels are not of this image."
        )
