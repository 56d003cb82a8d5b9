"""The accuracy of a torch network, through the pre- and post-processing of the runtime."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from edge_sdk.datasets import Dataset, Sample
from edge_sdk.detections import Detections
from edge_sdk.evaluation import EVALUATION, Accuracy, mean_average_precision
from edge_sdk.head_spec import HeadSpec
from edge_sdk.runtime.letterbox import Letterbox
from edge_sdk.runtime.postprocess import Postprocessor

BATCH = 8


def validate(model: nn.Module, dataset: Dataset, spec: HeadSpec, *, bf16: bool = False) -> Accuracy:
    """Return the accuracy of a network in evaluation mode, with the defaults for evaluation.

    Parameters
    ----------
    model : returns (class logits, distances), each a list of one map a stride.
    spec : of layout "dfl"; its letterbox and strides are used.
    bf16 : run the network under bfloat16 autocast.
    """
    predictions = detect(model, dataset.images, spec, bf16=bf16, **EVALUATION)
    return mean_average_precision(predictions, dataset.images, dataset.names)


def detect(
    model: nn.Module, samples: Sequence[Sample], spec: HeadSpec, *, bf16: bool, **settings: Any
) -> list[Detections]:
    """Return what a network finds on images; `settings` are those of `Postprocessor`."""
    postprocessor = Postprocessor(spec, **settings)
    return [
        found
        for first in range(0, len(samples), BATCH)
        for found in _detect_batch(model, samples[first : first + BATCH], postprocessor, bf16)
    ]


def _detect_batch(
    model: nn.Module, samples: Sequence[Sample], postprocessor: Postprocessor, bf16: bool
) -> Iterator[Detections]:
    spec = postprocessor.spec
    device = next(model.parameters()).device
    letterbox = Letterbox(spec.preprocessing, spec.input_size)
    inputs = np.empty((len(samples), 3, *spec.input_size), np.float32)
    frames = [sample.read() for sample in samples]
    placements = [letterbox(frame, out) for frame, out in zip(frames, inputs, strict=True)]
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        classes, distances = model(torch.from_numpy(inputs).to(device))
    outputs = [tensor.float().cpu().contiguous().numpy() for tensor in (*classes, *distances)]
    for index, (frame, placement) in enumerate(zip(frames, placements, strict=True)):
        own = [output[index] for output in outputs]
        yield postprocessor(own, placement, (frame.shape[0], frame.shape[1]))
