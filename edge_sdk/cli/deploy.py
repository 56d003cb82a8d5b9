"""edge-sdk deploy: from a model and a folder of images to a bundle, in one go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_sdk.cli.build import show
from edge_sdk.cli.calibrate import show_left_out
from edge_sdk.cli.console import console, progress_bar
from edge_sdk.cli.options import (
    BuildTarget,
    Head,
    Hybrid,
    InGraphNms,
    KeepFloat,
    KeepInt8,
    Labels,
    Latency,
    MaxDrop,
    MaxLatency,
    MaxShift,
    Names,
    PlanMethod,
    ShowImages,
    Size,
    Source,
    Split,
    budget_of,
)
from edge_sdk.cli.plan import show_search


def deploy(
    model: Source,
    images: Annotated[
        str,
        typer.Option(help="A folder of representative images, a glob, or test://street?..."),
    ],
    target: BuildTarget,
    output: Annotated[Path, typer.Option("--output", "-o", help="NAME.edge, or NAME.edge.zip.")],
    head: Head = None,
    names: Names = None,
    size: Size = None,
    limit: Annotated[int, typer.Option(min=1, help="Calibrate on at most so many images.")] = 256,
    method: PlanMethod = None,
    hybrid: Hybrid = False,
    max_drop: MaxDrop = None,
    labels: Labels = None,
    split: Split = None,
    max_shift: MaxShift = None,
    max_latency: MaxLatency = None,
    latency: Latency = None,
    keep_float: KeepFloat = None,
    keep_int8: KeepInt8 = False,
    nms: InGraphNms = False,
    show_images: ShowImages = None,
) -> None:
    """Convert, calibrate, plan and build; run it again to go on where it stopped.

    All layers run in INT8, or with a budget those of the best hybrid (see `edge-sdk plan`).
    """
    from edge_sdk.cli.convert import parse_size
    from edge_sdk.converters.heads.names import read_names
    from edge_sdk.deployment import deploy as run
    from edge_sdk.deployment import work_folder

    budget = budget_of(hybrid, max_drop, max_shift, max_latency, labels, split, latency=latency)
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
            budget=budget,
            latency=latency,
            keep_float=keep_float or (),
            keep_int8=keep_int8,
            nms=nms,
            show=show_images,
            progress=progress,
        )
    show_left_out(done.left_out)
    if done.search is not None:
        show_search(done.search)
    show(done)
    console.print(f"What was made on the way: {work_folder(output)}", soft_wrap=True)
    if done.search is not None and not done.search.met:
        raise typer.Exit(1)
