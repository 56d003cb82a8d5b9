"""edge-sdk dataset: frames of the test camera as images and labels."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from edge_sdk.cli.console import console, progress_bar


class Format(str, Enum):
    """File formats of images."""

    png = "png"
    jpg = "jpg"


def dataset(
    address: Annotated[
        str, typer.Argument(help="test://street?seed=0&size=1280x720&split=val (or train).")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="A folder to make.")],
    frames: Annotated[int | None, typer.Option(min=1, help="Number of images [500].")] = None,
    image_format: Annotated[
        Format, typer.Option("--format", help="png keeps every pixel; jpg is smaller.")
    ] = Format.png,
) -> None:
    """Write frames of the test camera as images with exact labels, for YOLO and for COCO."""
    from edge_sdk.datasets.writer import write_dataset

    with progress_bar() as progress:
        written = write_dataset(
            address, output, frames=frames, image_format=image_format.value, progress=progress
        )
    objects = ", ".join(f"{count} of {name}" for name, count in written.objects.items())
    console.print(f"{written.folder}: {written.frames} images; {objects}.", soft_wrap=True)
