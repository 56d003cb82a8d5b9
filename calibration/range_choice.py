"""The range method of each scale group, by what it does to the network's outputs.

No method is best for every network: least squared error (mse) never fails badly, entropy loses
half as much on networks whose large values are rare and matter, and ruins others. Nor is the best
one best for every tensor: where a few channels hold all large values, the small ones that carry the
picture are lost (the first depthwise convolution of YOLOX-nano). No local figure tells, so the
outputs of the network are compared with float's (see `shift`).

1. The whole network is rounded with each method. The one that loses least becomes the method of
   all, if its advantage over mse is more than chance: twice the standard error of the difference,
   image by image.
2. Each scale group is rounded alone, all else in float; then those that do the most harm, with each
   of the other methods. A group gets another method only if that leaves at most four fifths of the
   loss: what is closer than that is chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edge_sdk.calibration.calibration import Calibration
from edge_sdk.calibration.sensitivity import ShiftBench
from edge_sdk.calibration.sharing import shared_scale
from edge_sdk.progress import Progress, silent
from edge_sdk.quantization_table import ActivationScale, QuantizationTable

if TYPE_CHECKING:
    import onnx

    from edge_sdk.converters.network_run import Wiring

DEFAULT = "mse"
METHODS = (DEFAULT, "entropy", "percentile", "max")
_WORST = 12
"""Scale groups that are tried with other methods."""
_WORTHWHILE = 0.8
"""Part of the loss that another method may leave at most."""
_BEYOND_CHANCE = 2.0
"""Standard errors by which another method must be better for the whole network."""
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
) -> tuple[str, QuantizationTable]:
    """Return the best method for all, and a table with the best one for each scale group.

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
    from edge_sdk.converters.lowering import grid_steps
    from edge_sdk.converters.quantization_points import quantization_points, weighted_layers
    from edge_sdk.converters.switchable import SwitchableNetwork

    tables = {method: calibration.quantization_table(model, target, method) for method in METHODS}
    network = SwitchableNetwork(model, tables[DEFAULT], target, seven_bit_weights=seven_bit_weights)
    layers = frozenset(node.name for node in weighted_layers(network.index))
    bench = ShiftBench(model, network)
    whole = [network.rewired(layers, tables[method]) for method in METHODS]
    best = METHODS[_best(_losses(bench, whole, images, progress, "choosing a range method"))]
    table = tables[best]
    groups: dict[ActivationScale, list[str]] = {}
    for name, entry in table.activations.items():
        groups.setdefault(entry, []).append(name)

    def rounded_alone(names: list[str], entry: ActivationScale) -> Wiring:
        changed = {**table.activations, **dict.fromkeys(names, entry)}
        return network.rewired(layers, replace(table, activations=changed)).only(names)

    chosen = network.rewired(layers, table)
    own = {entry: chosen.only(names) for entry, names in groups.items()}
    losses = _losses(bench, list(own.values()), images[:_RANKING], progress, "ranking ranges")
    ranked = dict(zip(own, losses.mean(axis=1).tolist(), strict=True))
    worst = sorted(groups, key=lambda entry: -ranked[entry])[:_WORST]
    steps = grid_steps(target, quantization_points(model))
    trials = [
        (entry, shared_scale(groups[entry], calibration.histograms, method, steps))
        for entry in worst
        for method in METHODS
        if method != best
    ]
    wirings = [rounded_alone(groups[entry], other) for entry, other in trials]
    tried = [*(own[entry] for entry in worst), *wirings]
    found = _losses(bench, tried, images, progress, "choosing ranges").mean(axis=1).tolist()
    limits = {entry: _WORTHWHILE * loss for entry, loss in zip(worst, found, strict=False)}
    methods: dict[str, str] = {}
    for (entry, other), loss in zip(trials, found[len(worst) :], strict=True):
        if loss < limits[entry]:
            limits[entry] = loss
            methods.update(dict.fromkeys(groups[entry], other.method))
    return best, calibration.quantization_table(model, target, best, methods)


def _best(losses: npt.NDArray[np.float64]) -> int:
    """Return the row of least mean, and the first one where the difference may be chance."""
    less = losses[0] - losses
    error = less.std(axis=1, ddof=1) / np.sqrt(losses.shape[1]) if losses.shape[1] > 1 else np.inf
    sure = less.mean(axis=1) > _BEYOND_CHANCE * error
    return int(np.argmax(np.where(sure, less.mean(axis=1), 0.0)))


def _losses(
    bench: ShiftBench,
    wirings: Sequence[Wiring],
    images: Sequence[_Image],
    progress: Progress,
    doing: str,
) -> npt.NDArray[np.float64]:
    """Return the losses [wirings, images]."""
    losses = np.zeros((len(wirings), len(images)))
    for done, image in enumerate(images):
        progress(done, len(images), doing)
        base = bench.start(image)
        losses[:, done] = [bench.shift(base, wiring).loss for wiring in wirings]
    progress(len(images), len(images), doing)
    return losses
