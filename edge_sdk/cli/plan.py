"""edge-sdk plan: which layers run in INT8."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_sdk.cli.console import console


def plan(
    model: Annotated[Path, typer.Argument(help="A float ONNX file of `edge-sdk convert`.")],
    calib: Annotated[Path, typer.Option(help="Its calibration, from `edge-sdk calibrate`.")],
    target: Annotated[str, typer.Option(help="openvino or onnxruntime.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The plan to write.")],
    keep_float: Annotated[
        list[str] | None,
        typer.Option(help="Layers to keep float, by name or pattern ('*head*'); repeatable."),
    ] = None,
) -> None:
    """Write the plan that runs every layer in INT8 but those to be kept; edit it as you like."""
    from edge_sdk.deployment import plan as run

    made = run(model, calib, target, output, keep_float=keep_float or ())
    layers = sum(len(group.layers) for group in made.groups)
    console.print(
        f"{output}: {len(made.int8_layers)} of {layers} layers in {len(made.groups)} groups run "
        f"in INT8, {made.share():.1%} of the multiply-accumulates.\n"
        f"Next: edge-sdk build {model} --calib {calib} --plan {output} --target {target} "
        "-o NAME.edge",
        soft_wrap=True,
        markup=False,
    )
