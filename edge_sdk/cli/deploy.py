"""edge-sdk deploy: from a model and a folder of images to a bundle, in one go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_sdk.cli.build import show
from edge_sdk.cli.console import console, progress_bar
from edge_sdk.cli.options import Head, KeepInt8, Method, Names, Size, Source


def deploy(
    model: Source,
    images: Annotated[
        str,
        typer.Option(help="A folder of representative images, a glob, or test://street?..."),
    ],
    target: Annotated[str, typer.Option(help="openvino or onnxruntime.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="NAME.edge, or NAME.edge.zip.")],
    head: Head = None,
    names: Names = None,
    size: Size = None,
    limit: Annotated[int, typer.Option(min=1, help="Calibrate on at most so many images.")] = 256,
    method: Method = "mse",
    keep_float: Annotated[
        list[str] | None,
        typer.Option(help="Layers to keep float, by name or pattern ('*head*'); repeatable."),
    ] = None,
    keep_int8: KeepInt8 = False,
) -> None:
    """Convert, calibrate, plan (all INT8) and build; run it again to go on where it stopped."""
    from edge_sdk.cli.convert import parse_size
    from edge_sdk.converters.heads.names import read_names
    from edge_sdk.deployment import deploy as run
    from edge_sdk.deployment import work_folder

    with progress_bar() as progress:
        done = run(
            model,
            images,
            target,
            output,
            head=head,
            names=None if names is None else read_names(names),
            input_size=None if size is None else parse_size(size),
            limit=limit,
            method=method,
            keep_float=keep_float or (),
            keep_int8=keep_int8,
            progress=progress,
        )
    show(done)
    console.print(f"What was made on the way: {work_folder(output)}", soft_wrap=True)
