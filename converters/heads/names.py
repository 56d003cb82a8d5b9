"""Class names: those of COCO for 80 classes, a user's own from a file or a list."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_sdk.errors import EdgeError

COCO = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat",
    "traffic light", "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog",
    "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella",
    "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite",
    "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich",
    "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch",
    "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote",
    "keyboard", "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book",
    "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip


def class_names(count: int, names: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return `names` for a model of `count` classes, or what stands for them by default.

    Raises
    ------
    EdgeError
        If their number is not `count`.
    """
    if names is None:
        return COCO if count == len(COCO) else tuple(f"class {i}" for i in range(count))
    if len(names) != count:
        raise EdgeError(
            f"{len(names)} class names were given for a model with {count} classes: "
            "give one name a class, in the order of the training labels."
        )
    return tuple(names)


def read_names(text: str) -> tuple[str, ...]:
    """Return the names in a text file, one a line, or in a list "a,b,c".

    Raises
    ------
    EdgeError
        If there is no name in it, one is there twice, or the file is not text.
    """
    path = Path(text)
    if path.is_file():
        try:
            parts = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise EdgeError(f"{path} is not a text file of class names, one a line.") from error
    else:
        if "," not in text and (path.suffix or path.parent != Path()):
            raise EdgeError(f"There is no file of class names {path}.")
        parts = text.split(",")
    names = tuple(part.strip() for part in parts if part.strip())
    if not names:
        raise EdgeError(f"There is no class name in {text!r}.")
    if twice := [name for name in names if names.count(name) > 1]:
        raise EdgeError(
            f"The class name {twice[0]!r} is given twice in {text!r}: give each class its own."
        )
    return names
