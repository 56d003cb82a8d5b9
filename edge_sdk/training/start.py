"""The weights that a training begins with."""

from __future__ import annotations

import torch

from edge_sdk.converters.checkpoints import Checkpoint, load_checkpoint
from edge_sdk.converters.models import YoloNAS, yolo_nas
from edge_sdk.errors import EdgeError
from edge_sdk.training.recipe import Recipe

CLASSES = ".cls_pred."
"""In the names of the weights that depend on the number of classes."""


def starting_network(recipe: Recipe, names: tuple[str, ...]) -> YoloNAS:
    """Return the network that a recipe begins with.

    The class predictions of a checkpoint with other classes are left out: they begin with random
    weights and the bias of an empty picture. Everything else is kept. Of a checkpoint that does
    not name its classes the number counts.

    Raises
    ------
    EdgeError
        If the checkpoint cannot be read, or is of another size or block than the recipe's.
    """
    torch.manual_seed(recipe.seed)
    network = yolo_nas(recipe.model, len(names), recipe.block)
    if recipe.start is None:
        return network
    checkpoint = load_checkpoint(recipe.start)
    if (checkpoint.size, checkpoint.block) != (recipe.model, recipe.block):
        raise EdgeError(
            f"{recipe.start} is a YOLO-NAS {checkpoint.size.upper()} of {checkpoint.block} blocks, "
            f"not {recipe.model.upper()} of {recipe.block} blocks: train the same size and block."
        )
    state = checkpoint.model.state_dict()
    if not _same_classes(checkpoint, names):
        own = network.state_dict()
        state |= {name: own[name] for name in own if CLASSES in name}
    network.load_state_dict(state)
    return network


def _same_classes(checkpoint: Checkpoint, names: tuple[str, ...]) -> bool:
    if checkpoint.spec is None:
        return checkpoint.model.num_classes == len(names)
    return checkpoint.spec.class_names == names
