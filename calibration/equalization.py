"""Channels of one tensor brought to like ranges, where the layers around it can take the factors.

A tensor has one step for all its channels, so the small ones are rounded coarsely. Factors that
move into the layers before and behind it (see `equalize_channels`) make its channels alike, but
make the weights of the layers behind unlike, which have one step for all channels that they read.
Both lose equally with

    f_c = sqrt(a_c / w_c),

a_c the largest magnitude of channel c, w_c that of the weights that read it, in parts of the
largest of their output channel (Nagel et al., Data-Free Quantization, ICCV 2019, section 4.1. Their
other range is that of the weights that make the channel; ours have a scale for each channel, and
it is the tensor that has not. With that it is Xiao et al., SmoothQuant, ICML 2023). A depthwise
layer reads each channel with weights of its own scale, so there f_c = a_c: nothing is lost.

The step of the tensor changes as that of its values does on the images, with the same method, so
what a larger calibration knew of rare values is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edge_sdk.calibration.observers import Histogram
from edge_sdk.calibration.ranges import grid_step
from edge_sdk.progress import Progress, silent
from edge_sdk.quantization_table import QuantizationTable

if TYPE_CHECKING:
    import onnx

    from edge_sdk.converters.graph_index import GraphIndex
    from edge_sdk.converters.passes.equalize_channels import Link
    from edge_sdk.converters.switchable import SwitchableNetwork

_LARGEST = 32.0
"""Factors lie between its inverse and it, so that float16 weights stay what they are."""

_Values = npt.NDArray[np.float32]


def equalize(
    model: onnx.ModelProto,
    table: QuantizationTable,
    target: str,
    images: Sequence[_Values],
    *,
    progress: Progress = silent,
) -> QuantizationTable:
    """Return the table with factors for the channels of all tensors that can take them.

    Parameters
    ----------
    model : the float graph.
    table : its quantization table, without factors; replaced biases and learned roundings are
        left out, since they held for the weights as they were.
    target : any; it runs in float.
    images : float32 [1, 3, H, W] each, preprocessed; of the calibration.
    progress : told of each image, of which each is run twice.
    """
    from edge_sdk.converters.passes.equalize_channels import equalized, links
    from edge_sdk.converters.switchable import SwitchableNetwork
    from edge_sdk.converters.weight_scales import weight_scales

    table = replace(table, biases={}, rounded={})
    network = SwitchableNetwork(model, table, target)
    known = {name: link for name, link in links(model).items() if name in table.activations}
    signs = {name: table.activations[name].signed for name in known}
    before = _observed(network, signs, {}, images, progress)
    factors = {
        name: _factors(before[name].peaks, link, network.index) for name, link in known.items()
    }
    after = _observed(network, signs, factors, images, progress)
    activations = dict(table.activations)
    for name in known:
        entry = activations[name]
        steps = [grid_step(one[name], entry.method) for one in (before, after)]
        activations[name] = replace(entry, scale=entry.scale * steps[1] / steps[0])
    axes = {name: weight.axis for name, weight in table.weights.items()}
    made = replace(
        table,
        activations=activations,
        factors=factors,
        channels={name: s / factors.get(name, 1.0) for name, s in table.channels.items()},
    )
    return replace(made, weights=weight_scales(equalized(model, made)[0], axes, activations))


def _observed(
    network: SwitchableNetwork,
    signs: Mapping[str, bool],
    factors: Mapping[str, _Values],
    images: Sequence[_Values],
    progress: Progress,
) -> dict[str, Histogram]:
    """Return the distributions of tensors over their factors, in float, with their peaks."""
    import torch

    found: dict[str, Histogram] = {}
    for done, image in enumerate(images):
        progress(done, len(images), "equalizing channels")
        with torch.inference_mode():
            run = network.begin(torch.from_numpy(image), frozenset(), ())
            for number, step in enumerate(network.steps):
                run.step(number)
                for name in signs.keys() & set(step.node.output):
                    values = run.tensors[name].numpy()
                    channels = values.shape[1]
                    if name in factors:
                        values = values / factors[name].reshape(1, -1, 1, 1)
                    found.setdefault(
                        name, Histogram(signs[name], peaks=np.zeros(channels, np.float32))
                    ).add(values)
    progress(len(images), len(images), "equalizing channels")
    return found


def _factors(peaks: _Values, link: Link, index: GraphIndex) -> _Values:
    """Return float32 [channels] around 1: the module's f."""
    from edge_sdk.converters.passes.equalize_channels import input_axis

    columns = np.zeros(len(peaks))
    dense = [reader for reader in link.readers if input_axis(reader) == 1 or _is_transposed(reader)]
    for reader in dense:
        weight = np.abs(index.value(reader.input[1]).astype(np.float64))
        weight = weight if input_axis(reader) == 1 else weight.swapaxes(0, 1)
        largest = weight.reshape(*weight.shape[:2], -1).max(axis=2)
        parts = largest / np.maximum(largest.max(axis=1, keepdims=True), 1e-30)
        columns = np.maximum(columns, parts.max(axis=0))
    alive = (peaks > 0) & ((columns > 0) | (not dense))
    wanted = np.ones(len(peaks))
    if dense:
        wanted[alive] = np.sqrt(peaks[alive] / columns[alive])
    else:
        wanted[alive] = peaks[alive]
    wanted /= np.exp(np.log(wanted[alive]).mean()) if alive.any() else 1.0
    wanted[~alive] = 1.0
    factors: _Values = wanted.clip(1 / _LARGEST, _LARGEST).astype(np.float32)
    return factors


def _is_transposed(layer: onnx.NodeProto) -> bool:
    return bool(layer.op_type == "ConvTranspose")
