"""The recipe of a fine-tuning: what a user did not say follows from the data and the checkpoint."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge_sdk.datasets import Dataset, open_dataset
from edge_sdk.datasets.image_size import image_size
from edge_sdk.datasets.sample import FileSample
from edge_sdk.errors import EdgeError
from edge_sdk.training.recipe import Recipe

FOUNDATION = Path(__file__).with_name("n_foundation.safetensors")
"""The foundation checkpoint, a YOLO-NAS-N: in a source tree a link into weights/, in an installed
package the file itself."""

LONGEST = 416
"""Pixels of the input's longer side, if no size is given."""

WARMUP_EPOCHS = 3
SMALL = 8
"""Pixels of the input: sides of a cell of the finest map, below which boxes are hard to find."""

VALIDATIONS = 30
"""At most, over a whole training."""


def foundation(model: str) -> Path:
    """Return the foundation checkpoint of a size.

    Raises
    ------
    EdgeError
        If there is none of this size, or it is not where it belongs.
    """
    if model != "n":
        raise EdgeError(
            f"The foundation checkpoint is a YOLO-NAS-N, there is none of {model.upper()}."
        )
    if not FOUNDATION.is_file():
        raise EdgeError(f"The foundation checkpoint is not at {FOUNDATION}, where it belongs.")
    return FOUNDATION


def finetuning(
    data: Sequence[str],
    *,
    model: str = "n",
    block: str = "qarepvgg",
    start: str | None = None,
    input_size: tuple[int, int] | None = None,
    epochs: int = 60,
    batch: int = 8,
    lr: float = 1e-3,
    seed: int = 0,
    bf16: bool = False,
    patience: int | None = 10,
) -> Recipe:
    """Return the recipe of a fine-tuning.

    It warms up for 3 epochs (at most a tenth of all steps) and validates after every epoch, or
    30 times in all. Of several data sets an epoch is as many pictures of each as the largest has.

    Parameters
    ----------
    data : data sets, or addresses of the test camera.
    start : a checkpoint; without one the weights are random.
    input_size : (height, width); None: of the shape that most images have, 416 pixels long.
    patience : validations without a better one after which the training ends; None: never.

    Raises
    ------
    EdgeError
        If the data cannot be opened, or a number is out of range.
    """
    if epochs < 1:
        raise EdgeError(f"The number of epochs must be at least 1, not {epochs}.")
    if batch < 1:
        raise EdgeError(f"The batch must be at least 1 image, not {batch}.")
    splits = [open_dataset(source, "train") for source in data]
    pictures = len(splits) * max(map(len, splits))
    steps = math.ceil(epochs * pictures / batch)
    return Recipe(
        data=data[0] if len(data) == 1 else tuple(data),
        model=model,
        block=block,
        start=start,
        input_size=input_size or fitting_size(splits),
        steps=steps,
        batch=batch,
        lr=lr,
        warmup=max(1, min(math.ceil(WARMUP_EPOCHS * pictures / batch), steps // 10)),
        seed=seed,
        bf16=bf16,
        validations=min(epochs, VALIDATIONS),
        patience=patience,
    )


def fitting_size(splits: Sequence[Dataset], longest: int = LONGEST) -> tuple[int, int]:
    """Return the (height, width) of the input that fits most images, in multiples of 32.

    The median shape decides. Frames of the test camera have no say; without images the input is
    as high as it is wide.
    """
    ratios = [
        height / width for height, width in (image_size(file.path) for file in _files(splits))
    ]
    ratio = float(np.median(ratios)) if ratios else 1.0
    height, width = (longest, longest / ratio) if ratio > 1 else (longest * ratio, longest)
    return max(32, math.ceil(height / 32) * 32), max(32, math.ceil(width / 32) * 32)


def share_of_small(splits: Sequence[Dataset], input_size: tuple[int, int]) -> float:
    """Return which part (0..1) of the objects has a side below 8 pixels in the network's input."""
    sides = []
    for file in _files(splits):
        height, width = image_size(file.path)
        scale = min(input_size[0] / height, input_size[1] / width)
        sides += (scale * (file.boxes[:, 2:] - file.boxes[:, :2]).min(axis=1)).tolist()
    return float(np.mean(np.array(sides) < SMALL)) if sides else 0.0


def _files(splits: Sequence[Dataset]) -> list[FileSample]:
    return [item for split in splits for item in split.images if isinstance(item, FileSample)]
