"""edge-sdk qat: train a network with the rounding of its plan."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_sdk.cli.console import command, console, progress_bar, results, say_next

if TYPE_CHECKING:
    from edge_sdk.training.qat import Recovered


def qat(
    model: Annotated[Path, typer.Argument(help="A float ONNX file of `edge-sdk convert`.")],
    calib: Annotated[Path, typer.Option(help="Its calibration, from `edge-sdk calibrate`.")],
    plan: Annotated[Path, typer.Option(help="Its plan, from `edge-sdk plan`.")],
    data: Annotated[
        str,
        typer.Option(help="A YOLO folder, COCO folder, VOC tree or test://street, same classes."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder; a training begun there is continued.")
    ],
    steps: Annotated[int, typer.Option(help="Optimizer steps.")] = 60,
    batch: Annotated[int, typer.Option(help="Images in a step.")] = 8,
    lr: Annotated[float, typer.Option(help="Peak of the learning rate of weights.")] = 5e-5,
    seven_bit_weights: Annotated[
        bool | None,
        typer.Option(
            "--seven-bit-weights/--eight-bit-weights",
            help="7 bits for x86 CPUs without VNNI; by default what this CPU needs.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of pictures and their changes.")] = 0,
    threads: Annotated[int, typer.Option(help="CPU threads; 0 leaves it to torch.")] = 0,
) -> None:
    """Recover what INT8 costs: train a converted YOLO-NAS with the rounding of its plan.

    The folder gets model.onnx (still float, trained), quant.json (its scales) and plan.yaml, which
    `edge-sdk build` takes, beside log.jsonl, curves.png, predictions.jpg, and last.pt, from which
    the same command goes on after an interruption.
    """
    # Spinning OpenMP threads starve everything else on the machine, themselves included.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    import torch

    from edge_sdk.calibration import Calibration
    from edge_sdk.converters.lowering.instruction_set import needs_seven_bit_weights
    from edge_sdk.converters.model_file import load_model
    from edge_sdk.outputs import check_output
    from edge_sdk.plan_ranges import planned_table
    from edge_sdk.precision_plan import PrecisionPlan
    from edge_sdk.training.qat import Quantized, qat_recipe
    from edge_sdk.training.qat import qat as run

    check_output(output / "model.onnx", model)
    check_output(output / "plan.yaml", plan)
    if threads:
        torch.set_num_threads(threads)
    graph, precision = load_model(model), PrecisionPlan.load(plan)
    if seven_bit_weights is None:
        seven_bit_weights = needs_seven_bit_weights(precision.target)
    table = planned_table(
        Calibration.load(calib), graph, precision.groups, precision.target, precision.ranges,
        precision.range_methods(),
    )  # fmt: skip
    start = Quantized(graph, table, precision, seven_bit_weights)
    recipe = qat_recipe(start, data, steps=steps, batch=batch, lr=lr, seed=seed)
    with progress_bar() as progress:
        made = run(start, recipe, output, progress=progress, report=_print_row)
    _finish(made, precision.target)


def _print_row(row: dict[str, Any]) -> None:
    for name, what in (("exact", "float"), ("map", "quantized")):
        if name in row:
            console.print(
                f"step {row['step']:6d}  {row['seconds']:7.0f} s  {what} mAP50-95 {row[name]:.4f}"
            )


def _finish(made: Recovered, target: str) -> None:
    lost, left = 100 * (made.exact - made.before), 100 * (made.exact - made.after)
    bundle = f"{made.model.parent.resolve().name}.edge"
    results.print(
        f"On the validation images INT8 cost {lost:.2f} points of mAP50-95 before, and {left:.2f} "
        "now.",
        soft_wrap=True,
    )
    files = ("--table", made.table, "--plan", made.plan)
    say_next(command("edge-sdk", "build", made.model, *files, "--target", target, "-o", bundle))
