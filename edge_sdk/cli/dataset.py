"""edge-sdk dataset: what is in a data set; frames of the test camera as images and labels."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_sdk.cli.console import progress_bar, results
from edge_sdk.cli.tables import table
from edge_sdk.errors import EdgeError

if TYPE_CHECKING:
    from edge_sdk.datasets.report import DatasetReport


class Format(str, Enum):
    """File formats of images."""

    png = "png"
    jpg = "jpg"


def dataset(
    address: Annotated[
        str,
        typer.Argument(
            help="A data set (YOLO, COCO, VOC), or test://street?seed=0&size=1280x720&split=val."
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A folder to make, for test://street.")
    ] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Number of images [500].")] = None,
    image_format: Annotated[
        Format, typer.Option("--format", help="png keeps every pixel; jpg is smaller.")
    ] = Format.png,
) -> None:
    """Say what is in a data set and what is odd about it; or write frames of the test camera.

    The frames come as images with exact labels, for YOLO and for COCO.
    """
    if output is None:
        if address.startswith("test://"):
            raise EdgeError(f"Give the folder to write {address} to: -o DIR.")
        _check(address)
    else:
        _write(address, output, frames, image_format)


def _write(address: str, output: Path, frames: int | None, image_format: Format) -> None:
    from edge_sdk.datasets.writer import write_dataset

    with progress_bar() as progress:
        written = write_dataset(
            address, output, frames=frames, image_format=image_format.value, progress=progress
        )
    objects = ", ".join(f"{count} of {name}" for name, count in written.objects.items())
    results.print(f"{written.folder}: {written.frames} images; {objects}.", soft_wrap=True)


def _check(source: str) -> None:
    from edge_sdk.datasets.report import check_dataset

    with progress_bar() as progress:
        report = check_dataset(source, progress)
    show(report)


def show(report: DatasetReport) -> None:
    """Print how many images and objects there are, and what is odd."""
    splits = report.splits
    rows = [
        {"class": name, **{split.name: split.objects[index] for split in splits}}
        for index, name in enumerate(report.names)
    ]
    rows += [
        {"class": "images", **{split.name: split.images for split in splits}},
        {"class": "of these without objects", **{s.name: s.unlabelled for s in splits}},
    ]
    results.print(table(rows, title=report.source))
    for warning in report.warnings:
        results.print(f"Warning: {warning}.", soft_wrap=True)
