"""edge-sdk refine: make a plan's INT8 layers lose less."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_sdk.cli.console import progress_bar, results
from edge_sdk.cli.options import BuildTarget


def refine(
    model: Annotated[Path, typer.Argument(help="A float ONNX file of `edge-sdk convert`.")],
    calib: Annotated[Path, typer.Option(help="Its calibration, from `edge-sdk calibrate`.")],
    plan: Annotated[Path, typer.Option(help="Its plan, from `edge-sdk plan`.")],
    target: BuildTarget,
    output: Annotated[Path, typer.Option("--output", "-o", help="The table to write, .json.")],
    images: Annotated[
        str | None, typer.Option(help="Images to learn from, if not the calibration's.")
    ] = None,
    learned_rounding: Annotated[
        bool, typer.Option("--learned-rounding", help="Learn how to round weights: minutes.")
    ] = False,
    limit: Annotated[int, typer.Option(min=2, help="Use at most so many images.")] = 16,
) -> None:
    """Correct what quantization does to a plan's layers, and say what each step gains."""
    from edge_sdk.cli.tables import table
    from edge_sdk.plan_refinement import refine_plan

    with progress_bar() as progress:
        gains = refine_plan(
            model, calib, plan, target, output, images=images,
            learned_rounding=learned_rounding, limit=limit, progress=progress,
        )  # fmt: skip
    rows = [
        {
            "step": gain.step,
            "loss before": gain.before.loss,
            "loss after": gain.after.loss,
            "dB before": gain.before.sqnr,
            "dB after": gain.after.sqnr,
            "kept": gain.kept,
        }
        for gain in gains
    ]
    results.print(table(rows))
    results.print(f"{output}: build with --table in place of --calib.")
