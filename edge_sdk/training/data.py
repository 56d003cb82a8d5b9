"""What a recipe's data means: pictures to learn from, and pictures to validate on."""

from __future__ import annotations

from edge_sdk.datasets import Dataset, open_dataset
from edge_sdk.errors import EdgeError
from edge_sdk.runtime.sources.street import StreetOptions, parse_street_uri
from edge_sdk.training.augmentation import NONE, RENDERED, Augmentation
from edge_sdk.training.examples import DatasetExamples, Examples, StreetExamples
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
    if recipe.data.startswith("test://"):
        options = parse_street_uri(recipe.data)
        if options.frames is not None or "split=" in recipe.data:
            raise EdgeError(
                f"Training draws its own split and frames without end: leave `split` and `frames` "
                f"out of {recipe.data}."
            )
        validation = open_dataset(_validation_uri(recipe, options), "val")
        return StreetExamples(options), RENDERED if recipe.augment else NONE, validation
    validation = open_dataset(recipe.data, "val").first(recipe.validation_images)
    examples = DatasetExamples(open_dataset(recipe.data, "train"))
    return examples, Augmentation() if recipe.augment else NONE, validation


def _validation_uri(recipe: Recipe, options: StreetOptions) -> str:
    height, width = options.size
    return (
        f"test://street?seed={options.seed + VALIDATION_SEED}&size={width}x{height}"
        f"&fps={options.fps:g}&frames={recipe.validation_images}"
    )
