"""`edge-sdk finetune`: adapt a network to one's own classes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_sdk.cli.console import command, console, progress_bar, results, say_next
from edge_sdk.cli.dataset import show
from edge_sdk.cli.options import Size
from edge_sdk.errors import EdgeError

SCRATCH, BASE = "scratch", "foundation"
MANY = 0.1
"""Small objects, as a part of all, that are worth a remark."""


def finetune(
    data: Annotated[
        list[str],
        typer.Option(help="YOLO folder, COCO folder or VOC tree with train and val; repeatable."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder; a training begun there is continued.")
    ],
    model: Annotated[
        str | None, typer.Option(help="n, s, m or l; by default that of --from.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", help="A checkpoint, 'foundation' (the default) or 'scratch'."),
    ] = None,
    size: Size = None,
    epochs: Annotated[int, typer.Option(help="Passes over the data.")] = 60,
    batch: Annotated[int, typer.Option(help="Images in a step.")] = 8,
    lr: Annotated[float, typer.Option(help="Peak of the learning rate.")] = 1e-3,
    seed: Annotated[int, typer.Option(help="Of new weights, pictures and their changes.")] = 0,
    patience: Annotated[
        int, typer.Option(help="Validations without a better one before it ends; 0: never.")
    ] = 10,
    bf16: Annotated[
        bool | None, typer.Option(help="Convolutions in bfloat16; by default on a GPU.")
    ] = None,
    threads: Annotated[int, typer.Option(help="CPU threads; 0 leaves it to torch.")] = 0,
) -> None:
    """Fine-tune a YOLO-NAS to labelled images of your own.

    The folder gets best.safetensors, predictions.jpg, curves.png, log.jsonl, images.txt (what was
    learned from, to calibrate on), and last.pt, from which the same command goes on after an
    interruption.
    """
    # Spinning OpenMP threads starve everything else on the machine, themselves included.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    import torch

    from edge_sdk.cli.convert import parse_size
    from edge_sdk.outputs import check_output
    from edge_sdk.training import train
    from edge_sdk.training.finetuning import finetuning

    check_output(output / "best.safetensors", start)
    if threads:
        torch.set_num_threads(threads)
    gpu = torch.cuda.is_available()
    start, model, block = _beginning(start, model)
    _check(data)
    recipe = finetuning(
        data, model=model, block=block, start=start,
        input_size=None if size is None else parse_size(size), epochs=epochs, batch=batch, lr=lr,
        seed=seed, bf16=gpu if bf16 is None else bf16, patience=patience or None,
    )  # fmt: skip
    height, width = recipe.input_size
    console.print(
        f"YOLO-NAS-{model.upper()}, input {height}x{width}, {recipe.steps} steps of {batch} images "
        f"on {'the GPU' if gpu else f'{torch.get_num_threads()} CPU threads'}"
    )
    _say_if_small(data, recipe.input_size)
    workers = max(1, (os.cpu_count() or 1) // 2) if gpu else 1
    with progress_bar() as progress:
        trained = train(recipe, output, workers=workers, progress=progress, report=_print_row)
    _finish(trained.weights, trained.map, trained.map50, _write_list(data, output))


def _beginning(start: str | None, model: str | None) -> tuple[str | None, str, str]:
    """Return the checkpoint to begin with, and the size and block of the network."""
    from edge_sdk.converters.checkpoints import load_checkpoint
    from edge_sdk.training.finetuning import foundation

    if start is None or start == BASE:
        try:
            start = str(foundation(model or "n"))
        except EdgeError as error:
            if start == BASE:
                raise
            console.print(
                f"Note: {error} The weights begin at random; --from takes a checkpoint of yours.",
                soft_wrap=True,
            )
            start = SCRATCH
    if start == SCRATCH:
        return None, model or "n", "qarepvgg"
    checkpoint = load_checkpoint(start)
    if model not in (None, checkpoint.size):
        raise EdgeError(
            f"{start} is a YOLO-NAS-{checkpoint.size.upper()}, not {model.upper()}: leave --model "
            "out, or give --from another checkpoint."
        )
    console.print(f"Begins with {start}", soft_wrap=True)
    return start, checkpoint.size, checkpoint.block


def _check(data: list[str]) -> None:
    """Say what is in the data and what is odd about it, before time is spent on it."""
    from edge_sdk.datasets.report import check_dataset

    for source in data:
        if not source.startswith("test://"):
            with progress_bar() as progress:
                report = check_dataset(source, progress)
            show(report)


def _say_if_small(data: list[str], input_size: tuple[int, int]) -> None:
    from edge_sdk.datasets import open_dataset
    from edge_sdk.training.finetuning import SMALL, share_of_small

    share = share_of_small([open_dataset(source, "train") for source in data], input_size)
    if share > MANY:
        console.print(
            f"Note: {share:.0%} of the objects are less than {SMALL} pixels high or wide at this "
            "input size, and hard to find: a larger --size helps.",
            soft_wrap=True,
        )


def _print_row(row: dict[str, Any]) -> None:
    if "map" in row:
        console.print(
            f"step {row['step']:6d}  {row['seconds']:7.0f} s  "
            f"mAP50-95 {row['map']:.3f}  mAP50 {row['map50']:.3f}"
        )


def _write_list(data: list[str], output: Path) -> str:
    """Write the images that were learned from into a list; return what to calibrate on."""
    from edge_sdk.datasets import open_dataset
    from edge_sdk.files import write_text

    files = [
        str(Path(sample.name).resolve())
        for source in data
        if not source.startswith("test://")
        for sample in open_dataset(source, "train").images
    ]
    if not files:
        return data[0]
    write_text(output / "images.txt", "".join(f"{file}\n" for file in files))
    return str(output / "images.txt")


def _finish(weights: Path, map_: float, map50: float, images: str) -> None:
    from edge_sdk.runtime.backends import TARGETS, installed, preferred_target

    target = preferred_target() if any(map(installed, TARGETS)) else TARGETS[0]
    bundle = f"{weights.parent.resolve().name}.edge"
    results.print(
        f"mAP50-95 {map_:.3f}, mAP50 {map50:.3f} on the validation images; look at "
        f"{weights.parent / 'predictions.jpg'} (labels are white, what is found coloured) and "
        f"{weights.parent / 'curves.png'}",
        soft_wrap=True,
    )
    options = ("--images", images, "--target", target, "-o", bundle)
    say_next(command("edge-sdk", "deploy", weights, *options))
