"""`edge-sdk convert`: checkpoint or ONNX in, float ONNX with one convolution a block out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_sdk.cli.console import command, progress_bar, results, say_next
from edge_sdk.cli.options import Head, Names, Size, Source
from edge_sdk.errors import EdgeError


def convert(
    model: Source,
    output: Annotated[Path, typer.Option("-o", "--output", help="The .onnx file to write.")],
    head: Head = None,
    names: Names = None,
    size: Size = None,
    images: Annotated[
        Path | None, typer.Option(help="A folder of real images for the proof.")
    ] = None,
    dynamic_batch: Annotated[
        bool, typer.Option("--dynamic-batch", help="Leave the batch size open.")
    ] = False,
) -> None:
    """Fuse a detector into one convolution a block, prove it equal, write float ONNX."""
    from edge_sdk.converters.convert import convert as run
    from edge_sdk.converters.heads.names import read_names

    with progress_bar() as progress:
        done = run(
            model,
            output,
            head=head,
            names=None if names is None else read_names(names),
            input_size=None if size is None else parse_size(size),
            dynamic_batch=dynamic_batch,
            images=images,
            progress=progress,
        )
    spec, alphas, proof = done.spec, done.alphas, done.proof
    height, width = spec.input_size
    kept = f", {len(alphas.kept)} kept" if alphas.kept else ""
    results.print(
        f"{done.output}: {spec.family} ({spec.layout}), {spec.num_classes} classes, "
        f"input {height}x{width}, {done.gmacs:.2f} GMACs\n"
        f"  {done.blocks} blocks fused, {len(alphas.folded)} alphas folded{kept}, "
        f"{done.convolutions} convolutions\n"
        f"  parameters {done.parameters_before:,} -> {done.parameters_after:,}\n"
        f"  largest error {proof.worst('float64'):.1e} in float64, "
        f"{proof.worst('float32'):.1e} in float32 on {len(proof.images)} images "
        f"({done.proof_path})",
        soft_wrap=True,
    )
    calibration = f"{done.output.stem}.calib"
    say_next(command("edge-sdk", "calibrate", done.output, "--images", "DIR", "-o", calibration))


def parse_size(text: str) -> tuple[int, int]:
    """Return (height, width) from "480x640" or "640".

    Raises
    ------
    EdgeError
        If the text is neither.
    """
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.strip().isdigit() for part in parts):
        raise EdgeError(f"The size {text!r} is neither HEIGHTxWIDTH nor one number.")
    return int(parts[0]), int(parts[-1])
