"""What can be done for a layer before it is given up, and what each step gains.

1. Ranges: the method of each scale group by what it does to the outputs. `range_choice` has made
   that choice for the plan; here it is measured against least squared error everywhere.
2. Channels of like ranges, where the layers around a tensor can take the factors
   (`equalization`).
3. Learned rounding of the weights, an option that takes minutes (`rounding`).
4. Corrected biases (`bias_correction`), last, since they make up for what is left.

Each step is measured with the plan's layers in INT8, by the shift of the outputs against float,
and kept only if that falls. With other layers in INT8 another step may be worth it: what one
layer that clips makes of all that follow hides what a correction gains elsewhere. So the plan
comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edge_sdk.calibration.bias_correction import correct_biases
from edge_sdk.calibration.equalization import equalize
from edge_sdk.calibration.rounding import learn_rounding
from edge_sdk.calibration.sensitivity import measure_shift
from edge_sdk.calibration.shift import Shift
from edge_sdk.progress import Progress, silent
from edge_sdk.quantization_table import QuantizationTable

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class Gain:
    """What one step did.

    Attributes
    ----------
    step : "ranges", "like channels", "learned rounding" or "biases".
    before, after : shift of the outputs against float, mean over the images.
    kept : whether the step was taken: whether the loss fell.
    """

    step: str
    before: Shift
    after: Shift
    kept: bool


def refine(
    model: onnx.ModelProto,
    plain: QuantizationTable,
    chosen: QuantizationTable,
    target: str,
    images: Sequence[npt.NDArray[np.float32]],
    layers: frozenset[str],
    *,
    learned_rounding: bool = False,
    seven_bit_weights: bool = False,
    progress: Progress = silent,
) -> tuple[QuantizationTable, list[Gain]]:
    """Return the best table for some layers in INT8, and the gains of the steps.

    Parameters
    ----------
    model : the float graph with its head specification.
    plain : its table with one range method for all tensors.
    chosen : its table with the range methods of the plan; may be the same.
    target : on whose grids the errors are made.
    images : float32 [1, 3, H, W] each, preprocessed; of the calibration, 8 or more.
    layers : names of the layers in INT8.
    learned_rounding : learn how to round the weights, too; not with 7-bit weights.
    seven_bit_weights : for CPUs without VNNI.
    progress : told of every step.
    """

    from edge_sdk.converters.passes.equalize_channels import links

    def shift(table: QuantizationTable) -> Shift:
        (found,) = measure_shift(
            model, table, target, images, [layers], seven_bit_weights=seven_bit_weights
        )
        return found

    def like_channels(table: QuantizationTable) -> QuantizationTable:
        return equalize(model, table, target, images, progress=progress)

    def rounding(table: QuantizationTable) -> QuantizationTable:
        return learn_rounding(model, table, target, images, progress=progress)

    def biases(table: QuantizationTable) -> QuantizationTable:
        return correct_biases(
            model, table, target, images, seven_bit_weights=seven_bit_weights, progress=progress
        )

    steps: dict[str, Callable[[QuantizationTable], QuantizationTable]] = {}
    if chosen.activations != plain.activations:
        steps["ranges"] = lambda _: chosen
    if links(model):
        steps["like channels"] = like_channels
    if learned_rounding and not seven_bit_weights:
        steps["learned rounding"] = rounding
    steps["biases"] = biases
    table, best = plain, shift(plain)
    gains = []
    for name, step in steps.items():
        candidate = step(table)
        found = shift(candidate)
        gains.append(Gain(name, best, found, found.loss < best.loss))
        if gains[-1].kept:
            table, best = candidate, found
    return table, gains
