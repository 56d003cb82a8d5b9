"""YOLO-NAS with random weights, for measurements of speed: its statistics are a trained one's.

model = write(folder / "model.onnx", "s")     # one convolution a block, 640 x 640
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch

from edge_sdk.converters.export import export
from edge_sdk.converters.models import yolo_nas
from edge_sdk.converters.reparameterize import reparameterize
from edge_sdk.head_spec import Preprocessing
from edge_sdk.runtime import open_source
from edge_sdk.runtime.letterbox import Letterbox

CAMERA = "test://street?split=calibration"
SPREAD = 0.4
"""Standard deviation of the predictions' logits: those of a fresh network are all alike."""


def write(path: Path, size: str = "s", num_classes: int = 80, seed: int = 0) -> Path:
    """Write a fused float model whose batch normalizations have seen frames of the test camera."""
    torch.manual_seed(seed)
    model = yolo_nas(size, num_classes)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # a plain average over the frames
    with torch.no_grad():
        for batch in _frames(8, (320, 320)).split(4):
            model(batch)
        model.eval()
        classes, distances = model(_frames(4, (320, 320)))
        for name, value in model.named_parameters():
            if name.endswith("_pred.weight"):
                maps = classes if "cls_pred" in name else distances
                value.mul_(SPREAD / torch.cat([one.flatten() for one in maps]).std())
    onnx.save(export(reparameterize(model)), path)
    return path


def _frames(count: int, size: tuple[int, int]) -> torch.Tensor:
    letterbox = Letterbox(Preprocessing(), size)
    batch = np.empty((count, 3, *size), np.float32)
    for frame in open_source(f"{CAMERA}&frames={count}"):
        letterbox(frame.image, batch[frame.index])
    return torch.from_numpy(batch)
