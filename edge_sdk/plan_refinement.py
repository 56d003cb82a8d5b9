"""From a plan to a quantization table that loses less than its calibration's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge_sdk.errors import EdgeError
from edge_sdk.outputs import check_output
from edge_sdk.precision_plan import PrecisionPlan
from edge_sdk.progress import Progress, silent

if TYPE_CHECKING:
    from edge_sdk.calibration.refinement import Gain


def refine_plan(
    model: Path | str,
    calibration: Path | str,
    plan: Path | str,
    target: str,
    output: Path | str,
    *,
    images: Path | str | None = None,
    learned_rounding: bool = False,
    seven_bit_weights: bool | None = None,
    limit: int = 16,
    progress: Progress = silent,
) -> list[Gain]:
    """Write the table for a plan after all that can be done for its layers, for `build`.

    Parameters
    ----------
    model : a float ONNX file of `convert`.
    calibration : of this model, a file of `calibrate`.
    plan : of this model and target, a file of `plan`; it stays as it is.
    target : that it is for.
    output : the table to write (`quant.json`).
    images : to learn from; None takes those of the calibration.
    learned_rounding : learn how to round the weights, which takes minutes.
    seven_bit_weights : for CPUs without VNNI; None looks at this machine's CPU.
    limit : use at most so many of the images.
    progress : told of all steps.

    Returns
    -------
    What each step gained.

    Raises
    ------
    EdgeError
        If a file cannot be used, or belongs to another model or target.
    """
    from edge_sdk.calibration import Calibration
    from edge_sdk.calibration.pictures import network_inputs
    from edge_sdk.calibration.refinement import refine
    from edge_sdk.converters.layer_groups import layer_groups
    from edge_sdk.converters.lowering import lowering
    from edge_sdk.converters.lowering.instruction_set import needs_seven_bit_weights
    from edge_sdk.converters.model_file import head_spec_of, load_model
    from edge_sdk.plan_ranges import planned_table

    lowering(target)
    check_output(output, model, calibration, plan, images)
    graph = load_model(model)
    spec, counts = head_spec_of(graph), Calibration.load(calibration)
    made = PrecisionPlan.load(plan)
    made.check(counts.model_key, target, layer_groups(graph))
    if seven_bit_weights is None:
        seven_bit_weights = needs_seven_bit_weights(target)
    source = images or counts.source
    if not source:
        raise EdgeError(
            f"The calibration {calibration} does not say where its images are: give them with "
            "--images."
        )
    table, gains = refine(
        graph,
        counts.quantization_table(graph, target),
        planned_table(counts, graph, made.groups, target, made.ranges, made.range_methods()),
        target,
        network_inputs(source, limit, spec),
        made.int8_layers,
        learned_rounding=learned_rounding,
        seven_bit_weights=seven_bit_weights,
        progress=progress,
    )
    table.save(output)
    return gains
