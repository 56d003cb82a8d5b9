"""What can be done for a layer before it is given up, and what each step gains.

1. Ranges: the method of each scale group by what it does to the outputs (`range_choice`).
2. Learned rounding of the weights, an option that takes minutes (`rounding`).
3. Corrected biases (`bias_correction`), last, since they make up for what is left.

Each step is measured with the same layers in INT8, by the shift of the outputs against float, and
kept only if that falls. With other layers in INT8 another step may be worth it: what one layer
that clips makes of all that follow hides what a correction gains elsewhere. So refine again with
the layers that a search has chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edge_sdk.calibration.bias_correction import correct_biases
from edge_sdk.calibration.range_choice import DEFAULT, choose_ranges
from edge_sdk.calibration.rounding import learn_rounding
from edge_sdk.calibration.sensitivity import ShiftBench
from edge_sdk.calibration.shift import Shift, mean_shift
from edge_sdk.progress import Progress, silent
from edge_sdk.quantization_table import QuantizationTable

if TYPE_CHECKING:
    import onnx

    from edge_sdk.calibration.calibration import Calibration

_CHOOSING = 4
"""Images that ranges are chosen on; a trial for each scale group is run on each."""


@dataclass(frozen=True)
class Gain:
    """What one step did.

    Attributes
    ----------
    step : "ranges", "learned rounding" or "biases".
    before, after : shift of the outputs against float, mean over the images.
    kept : whether the step was taken: whether the loss fell.
    """

    step: str
    before: Shift
    after: Shift
    kept: bool


def refine(
    model: onnx.ModelProto,
    calibration: Calibration,
    target: str,
    images: Sequence[npt.NDArray[np.float32]],
    layers: frozenset[str] | None = None,
    *,
    learned_rounding: bool = False,
    seven_bit_weights: bool = False,
    progress: Progress = silent,
) -> tuple[QuantizationTable, list[Gain]]:
    """Return the best table that can be made of a calibration, and the gains of the steps.

    Parameters
    ----------
    model : the float graph with its head specification.
    calibration : of this model.
    target : on whose grids the errors are made.
    images : float32 [1, 3, H, W] each, preprocessed; of the calibration, 8 or more.
    layers : names of the layers in INT8; None for all.
    learned_rounding : learn how to round the weights, too; not with 7-bit weights.
    seven_bit_weights : for CPUs without VNNI.
    progress : told of every step.
    """
    from edge_sdk.converters.graph_index import GraphIndex
    from edge_sdk.converters.quantization_points import weighted_layers
    from edge_sdk.converters.switchable import SwitchableNetwork

    if layers is None:
        layers = frozenset(node.name for node in weighted_layers(GraphIndex(model.graph)))

    def shift(table: QuantizationTable) -> Shift:
        network = SwitchableNetwork(model, table, target, seven_bit_weights=seven_bit_weights)
        bench = ShiftBench(model, network)
        wiring = network.wiring(layers)
        return mean_shift([bench.shift(bench.start(image), wiring) for image in images])

    def ranges(table: QuantizationTable) -> QuantizationTable:
        return choose_ranges(
            model, calibration, target, images[:_CHOOSING],
            seven_bit_weights=seven_bit_weights, progress=progress,
        )  # fmt: skip

    def rounding(table: QuantizationTable) -> QuantizationTable:
        return learn_rounding(model, table, target, images, progress=progress)

    def biases(table: QuantizationTable) -> QuantizationTable:
        return correct_biases(
            model, table, target, images, seven_bit_weights=seven_bit_weights, progress=progress
        )

    steps = {"ranges": ranges, "learned rounding": rounding, "biases": biases}
    if not learned_rounding or seven_bit_weights:
        del steps["learned rounding"]
    table = calibration.quantization_table(model, DEFAULT)
    best = shift(table)
    gains = []
    for name, step in steps.items():
        candidate = step(table)
        found = shift(candidate)
        gains.append(Gain(name, best, found, found.loss < best.loss))
        if gains[-1].kept:
            table, best = candidate, found
    return table, gains
