"""edge-sdk build: lower the graph for a target, build its engine, write the bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_sdk.cli.console import command, console, progress_bar, results, say_next
from edge_sdk.cli.options import BuildTarget, InGraphNms, KeepInt8, ShowImages
from edge_sdk.cli.plan import show_reasons

if TYPE_CHECKING:
    from edge_sdk.deployment import Build


def build(
    model: Annotated[Path, typer.Argument(help="A float ONNX file of `edge-sdk convert`.")],
    plan: Annotated[Path, typer.Option(help="Its plan, from `edge-sdk plan`.")],
    target: BuildTarget,
    output: Annotated[Path, typer.Option("--output", "-o", help="NAME.edge, or NAME.edge.zip.")],
    calib: Annotated[
        Path | None, typer.Option(help="Its calibration, from `edge-sdk calibrate`.")
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            help="Its scales from `edge-sdk refine` or `qat`, in place of those of --calib."
        ),
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="Range method, if not the plan's: mse, max, ...")
    ] = None,
    seven_bit_weights: Annotated[
        bool | None,
        typer.Option(
            "--seven-bit-weights/--eight-bit-weights",
            help="7 bits for x86 CPUs without VNNI; by default what this CPU needs.",
        ),
    ] = None,
    keep_int8: KeepInt8 = False,
    nms: InGraphNms = False,
    show_images: ShowImages = None,
) -> None:
    """Build the engine of one target and write the bundle."""
    from edge_sdk.deployment import build as run

    with progress_bar() as progress:
        done = run(
            model,
            calib,
            plan,
            target,
            output,
            table=table,
            method=method,
            seven_bit_weights=seven_bit_weights,
            keep_int8=keep_int8,
            nms=nms,
            show=show_images,
            progress=progress,
        )
    show(done)


def show(done: Build) -> None:
    """Say what was built and what to do with it."""
    if done.refused:
        console.print(
            f"INT8 is only {done.speedup:.2f} times as fast as float here: the bundle has the "
            "float engine (--keep-int8 ships INT8 all the same).",
            style="yellow",
        )
    elif done.speedup is not None:
        results.print(
            f"INT8 ({done.plan.share():.1%} of the work) is {done.speedup:.2f} times as fast as "
            "float here."
        )
    if done.search is None and not done.refused:
        show_reasons(done.plan)
    results.print(f"{done.bundle}: engine for {done.plan.target}.", soft_wrap=True)
    say_next(_next(done))


def _next(done: Build) -> str:
    """Return what to do with a bundle."""
    from edge_sdk.converters.target import REMOTE, Target

    target = Target.parse(done.plan.target)
    if target.on_cpu:
        evaluation = command("edge-sdk", "eval", done.bundle, "--data", "DIR")
        return f"{evaluation}, or {command('edge-sdk', 'run', done.bundle, '--source', 'S')}"
    untimed = "It was not run, so nothing is known of its speed yet."
    if target.variant == REMOTE:
        return f"on the device, what engines/{target.folder}/COMMANDS.txt says. {untimed}"
    return f"copy it to the device. {untimed}"
