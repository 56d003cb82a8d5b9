"""edge-sdk plan: which layers run in INT8."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_sdk.cli.console import command, progress_bar, results, say_next
from edge_sdk.cli.options import (
    BuildTarget,
    Hybrid,
    KeepFloat,
    Labels,
    Latency,
    MaxDrop,
    MaxLatency,
    MaxShift,
    PlanMethod,
    Split,
    Threads,
    budget_of,
)
from edge_sdk.cli.tables import table

if TYPE_CHECKING:
    from edge_sdk.hybrid_plan import HybridPlan
    from edge_sdk.precision_plan import PrecisionPlan


def plan(
    model: Annotated[Path, typer.Argument(help="A float ONNX file of `edge-sdk convert`.")],
    calib: Annotated[Path, typer.Option(help="Its calibration, from `edge-sdk calibrate`.")],
    target: BuildTarget,
    output: Annotated[Path, typer.Option("--output", "-o", help="The plan to write.")],
    hybrid: Hybrid = False,
    max_drop: MaxDrop = None,
    labels: Labels = None,
    split: Split = None,
    max_shift: MaxShift = None,
    max_latency: MaxLatency = None,
    keep_float: KeepFloat = None,
    images: Annotated[
        str | None,
        typer.Option(help="Images to measure the shift on; by default those of the calibration."),
    ] = None,
    latency: Latency = None,
    method: PlanMethod = None,
    threads: Threads = None,
) -> None:
    """Write which layers run in INT8: all, or with a budget the best hybrid; edit it as you like.

    With a budget the exit status is 1 if no plan keeps to it; the closest one is written.
    """
    from edge_sdk.deployment import plan as write_all_int8
    from edge_sdk.plan_search import AUTO, search_plan

    budget = budget_of(
        hybrid, max_drop, max_shift, max_latency, labels, split,
        images=images, latency=latency, threads=threads,
    )  # fmt: skip
    keep = keep_float or ()
    if budget is None:
        made = write_all_int8(model, calib, target, output, keep_float=keep, method=method)
        _tell(made, output)
        show_reasons(made)
        found = None
    else:
        with progress_bar() as progress:
            found = search_plan(
                model, calib, target, output, budget, images=images, latency=latency,
                keep_float=keep, method=method or AUTO, threads=threads, progress=progress,
            )  # fmt: skip
        show_search(found)
        _tell(found.plan, output)
    files = ("--calib", calib, "--plan", output)
    say_next(command("edge-sdk", "build", model, *files, "--target", target, "-o", "NAME.edge"))
    if found is not None and not found.met:
        raise typer.Exit(1)


def show_search(found: HybridPlan) -> None:
    """Print what was measured, fastest last, and what was chosen."""
    rows = [
        {
            "": "*" if trial == found.chosen else "",
            "plan": trial.name,
            "INT8 groups": len(trial.int8),
            "ms": trial.ms,
            "shift": trial.loss,
            "points lost": trial.drop,
            "at most": trial.bound,
        }
        for trial in sorted(found.trials, key=lambda trial: -trial.ms)
    ]
    if all(row["points lost"] is None for row in rows):
        for row in rows:
            del row["points lost"], row["at most"]
    results.print(table(rows, f"Asked: {found.budget}"))
    style = None if found.met else "yellow"
    results.print(found.remark, style=style, soft_wrap=True)


def show_reasons(made: PrecisionPlan) -> None:
    """Say why layers are float that nobody asked to be."""
    for reason, layers in made.reasons().items():
        results.print(f"{layers} layers stay float: {reason}.", soft_wrap=True)


def _tell(made: PrecisionPlan, output: Path) -> None:
    layers = sum(len(group.layers) for group in made.groups)
    results.print(
        f"{output}: {len(made.int8_layers)} of {layers} layers in {len(made.groups)} groups run "
        f"in INT8, {made.share():.1%} of the multiply-accumulates.",
        soft_wrap=True,
    )
