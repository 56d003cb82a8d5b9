"""Which tensors share one scale and one sign.

What a pooling or a moving operator reads and makes must share; the quantization points say so.
The members of a Concat and its output share if that is cheap: then the Concat only moves
integers. Cheap means that no tensor's signal-to-noise ratio falls by 0.5 dB or more against the
scale that it would have without any Concat, so that Concats in a chain do not add up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from edge_sdk.calibration.observers import Histogram, merged
from edge_sdk.calibration.ranges import grid_step, squared_error
from edge_sdk.quantization_table import ActivationScale

if TYPE_CHECKING:
    import onnx

LARGEST_LOSS = 0.5
"""In decibels."""

Group = tuple[str, ...]


def scale_groups(
    model: onnx.ModelProto,
    required: Sequence[Group],
    histograms: Mapping[str, Histogram],
    method: str,
    steps: Mapping[str, int],
) -> dict[Group, ActivationScale]:
    """Divide the tensors into groups that share one scale.

    Parameters
    ----------
    model : the float graph.
    required : disjoint groups that must share.
    histograms : tensor name -> its distribution, for every tensor that is to be quantized.
    method : the range method.
    steps : tensor name -> those of its grid above zero (see `calibration.ranges`).

    Returns
    -------
    Disjoint groups, each tensor in one, with their scales.
    """
    group_of: dict[str, Group] = {name: (name,) for name in histograms}
    for group in required:
        group_of.update(dict.fromkeys(group, group))

    def scale_of(group: Group) -> ActivationScale:
        return shared_scale(group, histograms, method, steps)

    def error(name: str, scale: ActivationScale) -> float:
        return squared_error(histograms[name], scale.scale, steps[name])

    scales = {group: scale_of(group) for group in dict.fromkeys(group_of.values())}
    own = {name: error(name, scales[group_of[name]]) for name in histograms}
    for node in model.graph.node:
        ends = (name for name in (*node.input, *node.output) if name in group_of)
        groups = dict.fromkeys(group_of[name] for name in ends)
        if node.op_type != "Concat" or len(groups) < 2:
            continue
        union = tuple(name for group in groups for name in group)
        scale = scale_of(union)
        if all(_loss(own[name], error(name, scale)) < LARGEST_LOSS for name in union):
            group_of.update(dict.fromkeys(union, union))
            scales[union] = scale
    return {group: scales[group] for group in group_of.values()}


def shared_scale(
    group: Sequence[str],
    histograms: Mapping[str, Histogram],
    method: str,
    steps: Mapping[str, int],
) -> ActivationScale:
    """Return the scale of tensors that share one; the parameters are those of `scale_groups`."""
    histogram = merged([histograms[name] for name in group])
    step = grid_step(histogram, method, min(steps[name] for name in group))
    return ActivationScale(step, histogram.signed, method)


def _loss(own: float, shared: float) -> float:
    """Return by how many decibels the error on a shared grid is above that on the own one."""
    if shared <= own:
        return 0.0
    return 10 * math.log10(shared / own) if own else math.inf
