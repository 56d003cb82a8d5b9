"""The range method of each scale group, by what it does to the network's outputs.

Least squared error is the best general method, and wrong for some tensors: where a few channels
hold all large values, the small ones that carry the picture are lost (the first depthwise
convolution of YOLOX-nano). No local figure tells these tensors from others where clipping is
ruinous. So each scale group is rounded alone, all else in float, and the outputs are compared
with float (see `shift`): first with the table's own ranges; then, for those that do the most
harm, with each of the other methods. A group gets another method only if that leaves at most
four fifths of the loss: what is closer than that is chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edge_sdk.calibration.calibration import Calibration
from edge_sdk.calibration.observers import Histogram, merged
from edge_sdk.calibration.ranges import grid_step
from edge_sdk.calibration.sensitivity import ShiftBench
from edge_sdk.progress import Progress, silent
from edge_sdk.quantization_table import ActivationScale, QuantizationTable

if TYPE_CHECKING:
    import onnx

    from edge_sdk.converters.network_run import Wiring

DEFAULT = "mse"
OTHERS = ("entropy", "percentile", "max")
_WORST = 12
"""Scale groups that are tried with other methods."""
_WORTHWHILE = 0.8
"""Part of the loss that another method may leave at most."""

_RANKING = 2
"""Images that decide which groups do the most harm."""

_Image = npt.NDArray[np.float32]


def choose_ranges(
    model: onnx.ModelProto,
    calibration: Calibration,
    target: str,
    images: Sequence[_Image],
    *,
    seven_bit_weights: bool = False,
    progress: Progress = silent,
) -> QuantizationTable:
    """Return a table with the best method for each scale group (its `method` tells which).

    Parameters
    ----------
    model : the float graph with its head specification.
    calibration : of this model.
    target : on whose grids tensors are rounded.
    images : float32 [1, 3, H, W] each, preprocessed; of the calibration: about 8, since
        what is clipped differs much between images.
    seven_bit_weights : for CPUs without VNNI.
    progress : told of each image.
    """
    from edge_sdk.converters.quantization_points import weighted_layers
    from edge_sdk.converters.switchable import SwitchableNetwork

    table = calibration.quantization_table(model, DEFAULT)
    network = SwitchableNetwork(model, table, target, seven_bit_weights=seven_bit_weights)
    layers = frozenset(node.name for node in weighted_layers(network.index))
    bench = ShiftBench(model, network)
    groups: dict[ActivationScale, list[str]] = {}
    for name, entry in table.activations.items():
        groups.setdefault(entry, []).append(name)

    def rounded_alone(names: list[str], entry: ActivationScale) -> Wiring:
        changed = {**table.activations, **dict.fromkeys(names, entry)}
        return network.rewired(layers, replace(table, activations=changed)).only(names)

    own = {entry: network.wiring(layers).only(names) for entry, names in groups.items()}
    ranked = dict(
        zip(own, _losses(bench, list(own.values()), images[:_RANKING], progress), strict=True)
    )
    worst = sorted(groups, key=lambda entry: -ranked[entry])[:_WORST]
    trials = [
        (entry, other)
        for entry in worst
        for other in _alternatives([calibration.histograms[name] for name in groups[entry]], entry)
    ]
    wirings = [rounded_alone(groups[entry], other) for entry, other in trials]
    found = _losses(bench, [*(own[entry] for entry in worst), *wirings], images, progress)
    limits = {entry: _WORTHWHILE * loss for entry, loss in zip(worst, found, strict=False)}
    chosen = dict(table.activations)
    for (entry, other), loss in zip(trials, found[len(worst) :], strict=True):
        if loss < limits[entry]:
            limits[entry] = loss
            chosen.update(dict.fromkeys(groups[entry], other))
    exceptions = {name: entry.method for name, entry in chosen.items() if entry.method != DEFAULT}
    return calibration.quantization_table(model, DEFAULT, exceptions)


def _alternatives(histograms: Sequence[Histogram], entry: ActivationScale) -> list[ActivationScale]:
    """Return the scales that the other methods give to tensors that share one."""
    histogram = merged(histograms)
    return [replace(entry, scale=grid_step(histogram, method), method=method) for method in OTHERS]


def _losses(
    bench: ShiftBench, wirings: Sequence[Wiring], images: Sequence[_Image], progress: Progress
) -> list[float]:
    """Return for each wiring its mean loss."""
    losses = np.zeros(len(wirings))
    for done, image in enumerate(images):
        progress(done, len(images), "choosing ranges")
        base = bench.start(image)
        losses += [bench.shift(base, wiring).loss for wiring in wirings]
    progress(len(images), len(images), "choosing ranges")
    means: list[float] = (losses / len(images)).tolist()
    return means
