"""edge-sdk profile: how long every layer group takes on this machine, in float and in INT8."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edge_sdk.cli.console import command, progress_bar, results, say_next
from edge_sdk.cli.options import Threads
from edge_sdk.cli.tables import table

_SHOWN = 8


def profile(
    model: Annotated[Path, typer.Argument(help="A float ONNX file of `edge-sdk convert`.")],
    calib: Annotated[Path, typer.Option(help="Its calibration, from `edge-sdk calibrate`.")],
    target: Annotated[str, typer.Option(help="openvino, onnxruntime, or tensorrt (experimental).")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The table to write, JSON.")],
    threads: Threads = None,
) -> None:
    """Measure every layer group on this machine, for `edge-sdk plan --latency` on any other."""
    from edge_sdk.profiling import profile as run

    with progress_bar() as progress:
        measured = run(model, calib, target, output, threads=threads, progress=progress)
    slowest = sorted(measured.groups.items(), key=lambda item: -item[1].float_ms)[:_SHOWN]
    results.print(
        table(
            [
                {"group": name, "float, ms": time.float_ms, "INT8, ms": time.int8_ms}
                for name, time in slowest
            ],
            f"The {len(slowest)} slowest of {len(measured.groups)} groups",
        )
    )
    results.print(
        f"{output}: float {measured.predict(()):.2f} ms, all-INT8 "
        f"{measured.predict(measured.groups):.2f} ms, {_where(measured.conditions)}.",
        soft_wrap=True,
    )
    options = ("--target", target, "--latency", output, "--max-shift", "S", "-o", "plan.yaml")
    say_next(command("edge-sdk", "plan", model, "--calib", calib, *options))


def _where(conditions: dict[str, Any]) -> str:
    gpu = conditions.get("gpu_before", {}).get("name")
    return gpu or f"{conditions['threads']} threads of {conditions['cpu']}"
