"""`edge-sdk train`: train a network from scratch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_sdk.cli.console import console, progress_bar, results


def train(
    data: Annotated[
        list[str],
        typer.Option(help="test://street?..., or a YOLO folder, COCO folder or VOC tree; repeat."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder; a training begun there is continued.")
    ],
    model: Annotated[str, typer.Option(help="Size of the network: n, s, m or l.")] = "n",
    block: Annotated[str, typer.Option(help="qarepvgg or repvgg.")] = "qarepvgg",
    size: Annotated[str, typer.Option(help="Input size HxW or N, multiples of 32.")] = "256x416",
    steps: Annotated[int, typer.Option(help="Optimizer steps.")] = 2000,
    batch: Annotated[int, typer.Option(help="Images in a step.")] = 16,
    lr: Annotated[float, typer.Option(help="Peak of the learning rate.")] = 1e-3,
    seed: Annotated[int, typer.Option(help="Of weights, pictures and their changes.")] = 0,
    bf16: Annotated[bool, typer.Option(help="Convolutions in bfloat16.")] = False,
    augment: Annotated[bool, typer.Option(help="Change each picture at random.")] = True,
    validations: Annotated[int, typer.Option(help="Evaluations during the training.")] = 10,
    validation_images: Annotated[int, typer.Option(help="Images in an evaluation.")] = 200,
    threads: Annotated[int, typer.Option(help="CPU threads; 0 leaves it to torch.")] = 0,
    workers: Annotated[int, typer.Option(help="Threads that make batches.")] = 1,
) -> None:
    """Train a YOLO-NAS from scratch, from a data set or straight from the test camera.

    The folder gets best.safetensors (for `edge-sdk convert`), curves.png, log.jsonl, and
    last.pt, from which the same command goes on after an interruption.
    """
    # Spinning OpenMP threads starve everything else on the machine, themselves included.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    import torch

    from edge_sdk.cli.convert import parse_size
    from edge_sdk.outputs import check_output
    from edge_sdk.training import Recipe
    from edge_sdk.training import train as run

    check_output(output / "last.pt")
    if threads:
        torch.set_num_threads(threads)
    recipe = Recipe(
        data=data[0] if len(data) == 1 else tuple(data), model=model, block=block,
        input_size=parse_size(size), steps=steps, batch=batch, lr=lr,
        warmup=max(1, min(100, steps // 10)), seed=seed, bf16=bf16, augment=augment,
        validations=validations, validation_images=validation_images,
    )  # fmt: skip
    with progress_bar() as progress:
        trained = run(recipe, output, workers=workers, progress=progress, report=_print_row)
    results.print(
        f"mAP50-95 {trained.map:.3f}, mAP50 {trained.map50:.3f} on the validation images: "
        f"{trained.weights}"
    )


def _print_row(row: dict[str, Any]) -> None:
    if "map" in row:
        figures = f"mAP50-95 {row['map']:.3f}  mAP50 {row['map50']:.3f}"
    else:
        parts = (f"{name} {row[name]:.3f}" for name in ("loss", "classes", "boxes", "distances"))
        figures = "  ".join(parts)
    console.print(f"step {row['step']:6d}  {row['seconds']:7.0f} s  {figures}")
