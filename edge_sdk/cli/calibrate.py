"""edge-sdk calibrate: ranges for every tensor that any target may quantize."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_sdk.cli.console import command, console, progress_bar, results, say_next

if TYPE_CHECKING:
    from edge_sdk.calibration import Calibration

_SHOWN = 10
"""Images left out that are named one by one."""


def calibrate(
    model: Annotated[Path, typer.Argument(help="A float ONNX file of `edge-sdk convert`.")],
    images: Annotated[
        str,
        typer.Option(help="A folder of representative images, a glob, or test://street?..."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The calibration to write.")],
    limit: Annotated[
        int, typer.Option(min=1, help="Use at most so many images, spread over the source.")
    ] = 256,
) -> None:
    """Run the float model over representative images and keep a histogram of every tensor."""
    from edge_sdk.calibration import calibrate as run

    start = time.perf_counter()
    with progress_bar() as progress:
        calibration = run(model, images, output, limit=limit, progress=progress)
    _show(calibration, output, time.perf_counter() - start)
    following = ("plan", model, "--calib", output, "--target", "openvino", "-o", "plan.yaml")
    say_next(command("edge-sdk", *following))


def show_left_out(remarks: Sequence[str]) -> None:
    """Say which images were not used, and why."""
    for remark in remarks[:_SHOWN]:
        console.print(f"Left out: {remark}", style="yellow", soft_wrap=True)
    if len(remarks) > _SHOWN:
        console.print(f"Left out: {len(remarks) - _SHOWN} more.", style="yellow")


def _show(calibration: Calibration, output: Path, seconds: float) -> None:
    used, skipped = len(calibration.images), calibration.skipped
    show_left_out(skipped)
    if calibration.reused == used:
        console.print(
            f"{output} is up to date: nothing changed since it was made.",
            soft_wrap=True,
        )
    elif calibration.reused:
        console.print(f"{calibration.reused} of the images had been counted by an earlier run.")
    results.print(
        f"{output}: {used} images used, {len(skipped)} left out, "
        f"{len(calibration.histograms)} tensors, {seconds:.1f} s.",
        soft_wrap=True,
    )
