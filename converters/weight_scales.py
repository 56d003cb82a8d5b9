"""The grids of weights: symmetric, one scale an output channel.

The scale of a channel is its largest magnitude over 127, with two floors:

- |b| / (s_x 2^30), because engines add the bias b as an int32 in steps of s_x s_w: a nearly
  dead channel with an ordinary bias would overflow it;
- 2^-24 of the largest channel's scale (of 1 where all are dead): a channel below that is lost
  beside the others even in float32, and a scale must never be 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import EdgeError
from edge_sdk.quantization_table import STEPS, ActivationScale, WeightScale

if TYPE_CHECKING:
    import onnx

    from edge_sdk.converters.graph_index import GraphIndex

BIAS_STEPS = 2.0**30
DEAD = 2.0**-24


def weight_scales(
    model: onnx.ModelProto,
    axes: Mapping[str, int],
    activations: Mapping[str, ActivationScale],
) -> dict[str, WeightScale]:
    """Return the scales of each weight of a float model.

    Parameters
    ----------
    model : the float graph, weights and biases as initializers.
    axes : weight name -> axis of its output channels (1 for ConvTranspose).
    activations : the grids of the layers' inputs, for the floor of the biases.

    Raises
    ------
    EdgeError
        If a weight or bias holds NaN or infinite values.
    """
    from edge_sdk.converters.graph_index import GraphIndex

    index = GraphIndex(model.graph)
    floors = {name: np.zeros(1) for name in axes}
    for node in model.graph.node:
        weight, bias = (*node.input, "", "", "")[1:3]
        step = _step(node.input[0], index, activations) if weight in axes else None
        if step and index.is_constant(bias):
            floor = np.abs(_finite(bias, index)) / (step * BIAS_STEPS)
            floors[weight] = np.maximum(floors[weight], floor)
    return {
        name: WeightScale(axis, channel_scales(_finite(name, index), axis, floors[name]))
        for name, axis in axes.items()
    }


def channel_scales(
    weight: npt.NDArray[np.floating], axis: int, floor: npt.NDArray[np.floating]
) -> npt.NDArray[np.float32]:
    """Return float32 [channels]: the step of each output channel.

    Parameters
    ----------
    weight : finite, of any shape, its output channels along `axis`.
    floor : [bias channels], the least step that each channel's bias allows. A grouped
        ConvTranspose has a bias for each group and channel: [groups * channels].
    """
    channels = weight.shape[axis]
    others = tuple(index for index in range(weight.ndim) if index != axis % weight.ndim)
    scales = np.abs(weight.astype(np.float64)).max(axis=others, initial=0.0) / STEPS
    scales = np.maximum(scales, floor.reshape(-1, channels if floor.size > 1 else 1).max(axis=0))
    result: npt.NDArray[np.float32] = np.maximum(scales, DEAD * (scales.max() or 1.0)).astype(
        np.float32
    )
    return result


def _step(name: str, index: GraphIndex, activations: Mapping[str, ActivationScale]) -> float | None:
    """Return the step of a layer's input, also where that is a multiple of another tensor."""
    from edge_sdk.converters.quantization_points import rescaling

    if name in activations:
        return activations[name].scale
    scaled = rescaling(index.producers[name], index) if name in index.producers else None
    if scaled is None:
        return None
    source, factor = scaled
    step = _step(source, index, activations)
    return None if step is None else factor * step


def _finite(name: str, index: GraphIndex) -> npt.NDArray[np.float64]:
    """Return a constant's value.

    Raises
    ------
    EdgeError
        If part of it is NaN or infinite.
    """
    values = index.value(name).astype(np.float64)
    if not np.isfinite(values).all():
        raise EdgeError(
            f"The weight {name!r} holds NaN or infinite values: the model is broken, export it "
            "again from a sound checkpoint."
        )
    return values
