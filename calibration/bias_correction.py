"""Biases that make up for the mean error of quantization.

Rounded weights and clipped activations shift the mean of a layer's outputs, channel by channel.
With z the outputs of a layer in float, and z' those of its INT8 form *on the same float inputs*,
both averaged over images and pixels, the layer gets

    b' = b + mean(z) - mean(z')

(Nagel et al., Data-Free Quantization, ICCV 2019, section 4.2, with images in the place of their
assumption on the distribution.) So each layer makes up for its own error only, whatever else is
INT8: the correction holds for every plan. Correcting the layers in a chain, each behind the
errors of those before, is better in theory and was ruinous on YOLOX-nano (all-INT8 mAP from 0.26
to 0.06): where one layer clips, all that follow are bent towards the mean of its errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edge_sdk.progress import Progress, silent
from edge_sdk.quantization_table import QuantizationTable

if TYPE_CHECKING:
    import onnx


def correct_biases(
    model: onnx.ModelProto,
    table: QuantizationTable,
    target: str,
    images: Sequence[npt.NDArray[np.float32]],
    *,
    seven_bit_weights: bool = False,
    progress: Progress = silent,
) -> QuantizationTable:
    """Return the table with corrected biases; layers without a bias stay as they are.

    Parameters
    ----------
    model : the float graph.
    table : its quantization table; biases that it replaces already are made anew.
    target : on whose grids the errors are made.
    images : float32 [1, 3, H, W] each, preprocessed; of the calibration.
    seven_bit_weights : for CPUs without VNNI.
    progress : told of each image.
    """
    import torch

    from edge_sdk.converters.quantization_points import weighted_layers
    from edge_sdk.converters.switchable import SwitchableNetwork

    table = replace(table, biases={})
    network = SwitchableNetwork(model, table, target, seven_bit_weights=seven_bit_weights)
    nodes = weighted_layers(network.index)
    layers = frozenset(node.name for node in nodes)
    shifts: dict[str, list[npt.NDArray[np.float64]]] = {
        node.input[2]: []
        for node in nodes
        if len(node.input) > 2 and len(network.index.consumers[node.input[2]]) == 1
    }
    with torch.inference_mode():
        for done, image in enumerate(images):
            progress(done, len(images), "correcting biases")
            exact = network.begin(torch.from_numpy(image), frozenset(), network.output_names)
            rounded = network.begin(torch.from_numpy(image), layers, network.output_names)
            for number, step in enumerate(network.steps):
                exact.step(number)
                rounded.step(number)
                for name in step.node.output:
                    if name not in exact.tensors:
                        continue  # nothing reads it
                    if step.is_layer and step.inputs[-1] in shifts:
                        error = exact.tensors[name] - rounded.tensors[name]
                        shifts[step.inputs[-1]].append(error.mean((0, 2, 3)).double().numpy())
                    rounded.tensors[name] = exact.tensors[name]
    progress(len(images), len(images), "correcting biases")
    biases = {
        name: (network.index.value(name) + np.mean(errors, axis=0)).astype(np.float32)
        for name, errors in shifts.items()
    }
    return replace(table, biases=biases)
