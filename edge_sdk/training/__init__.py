"""Training of YOLO-NAS networks, from scratch or a checkpoint, on data sets or the test camera."""

from edge_sdk.training.checkpoint import half_checkpoint
from edge_sdk.training.recipe import Recipe
from edge_sdk.training.trainer import Trained, train

__all__ = ["Recipe", "Trained", "half_checkpoint", "train"]
