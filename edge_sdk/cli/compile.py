"""edge-sdk compile: build an engine on the device, from the graph that a bundle holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_sdk.cli.console import progress_bar, results


def compile(
    source: Annotated[Path, typer.Argument(help="A bundle, or the lowered.onnx of one.")],
    target: Annotated[str, typer.Option(help="tensorrt, or tensorrt-rtx:smNN.")] = "tensorrt",
    max_batch: Annotated[
        int, typer.Option(min=1, help="The largest batch, if the graph leaves it open.")
    ] = 8,
    workspace: Annotated[
        int | None, typer.Option(min=1, help="Memory a kernel may use for itself, in MiB.")
    ] = None,
    timing_cache: Annotated[
        Path | None, typer.Option(help="A file that keeps kernel times for the next build.")
    ] = None,
    version_compatible: Annotated[
        bool,
        typer.Option(
            "--version-compatible",
            help="Run on newer versions of TensorRT too, in other programs than ours.",
        ),
    ] = False,
    hardware_compatibility: Annotated[
        str | None, typer.Option(help="ampere_plus or same_compute_capability.")
    ] = None,
    optimization_level: Annotated[
        int | None, typer.Option(min=0, max=5, help="0 builds fast, 5 makes the fastest engine.")
    ] = None,
    dla: Annotated[int | None, typer.Option(min=0, help="A deep learning accelerator.")] = None,
) -> None:
    """Build an engine where it is to run; a bundle gets it, with its hash."""
    from edge_sdk.converters.engines.tensorrt_builder import BuildOptions
    from edge_sdk.converters.engines.tensorrt_compile import compile_graph

    options = BuildOptions(
        max_batch, workspace, timing_cache, version_compatible, hardware_compatibility,
        optimization_level, dla,
    )  # fmt: skip
    with progress_bar() as progress:
        made = compile_graph(source, target, options, progress)
    results.print(f"{made}: engine for {target}.", soft_wrap=True)
