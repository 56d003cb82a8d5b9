"""What a recipe's data means: pictures to learn from, and pictures to validate on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from edge_sdk.datasets import Dataset, Labels, Sample, open_dataset
from edge_sdk.datasets.report import open_pair
from edge_sdk.errors import EdgeError
from edge_sdk.runtime.sources.street import StreetOptions, parse_street_uri
from edge_sdk.training.augmentation import NONE, RENDERED, Augmentation
from edge_sdk.training.examples import (
    DatasetExamples,
    Examples,
    JointExamples,
    StreetExamples,
    class_ids_in,
    joint_names,
)
from edge_sdk.training.recipe import Recipe

VALIDATION_SEED = 1_000
"""Added to the address's seed, so that choosing the best weights never sees the frames that
`edge-sdk eval` evaluates by default.
"""


def training_data(recipe: Recipe) -> tuple[Examples, Augmentation, Dataset]:
    """Return the examples, how they may be changed, and the data set to validate on.

    Raises
    ------
    EdgeError
        If the data cannot be used.
    """
    rendered = all(source.startswith("test://") for source in recipe.sources)
    augmentation = RENDERED if rendered else Augmentation()
    parts = [_source(source, recipe.validation_images) for source in recipe.sources]
    examples, validation = parts[0]
    if len(parts) > 1:
        examples = JointExamples([part for part, _ in parts])
        validation = joint_dataset([dataset for _, dataset in parts])
    return examples, augmentation if recipe.augment else NONE, validation


def _source(source: str, validation_images: int) -> tuple[Examples, Dataset]:
    if source.startswith("test://"):
        options = parse_street_uri(source)
        if options.frames is not None or "split=" in source:
            raise EdgeError(
                f"Training draws its own split and frames without end: leave `split` and `frames` "
                f"out of {source}."
            )
        validation = open_dataset(_validation_uri(options, validation_images), "val")
        return StreetExamples(options), validation
    train, validation = open_pair(source)
    return DatasetExamples(train), validation.first(validation_images)


def _validation_uri(options: StreetOptions, frames: int) -> str:
    height, width = options.size
    return (
        f"test://street?seed={options.seed + VALIDATION_SEED}&size={width}x{height}"
        f"&fps={options.fps:g}&frames={frames}"
    )


def joint_dataset(parts: Sequence[Dataset]) -> Dataset:
    """Return several data sets as one, with the classes of all."""
    names = joint_names([part.names for part in parts])
    images = [
        _Renumbered(sample, class_ids_in(names, part.names))
        for part in parts
        for sample in part.images
    ]
    source = " and ".join(part.source for part in parts)
    return Dataset(names, images, source, parts[0].split)


@dataclass(frozen=True)
class _Renumbered(Sample):
    """A sample with other class ids."""

    sample: Sample
    ids: npt.NDArray[np.int32]

    @property
    def name(self) -> str:
        return self.sample.name

    def read(self) -> npt.NDArray[np.uint8]:
        return self.sample.read()

    @cached_property
    def labels(self) -> Labels:
        own = self.sample.labels
        return replace(own, class_ids=self.ids[own.class_ids])
