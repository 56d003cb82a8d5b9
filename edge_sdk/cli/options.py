"""Arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Source = Annotated[Path, typer.Argument(help="A .pth, .safetensors or .onnx file.")]
Head = Annotated[
    str | None, typer.Option(help="yolo_nas, yolox or yolov8, if it is not recognized.")
]
Names = Annotated[str | None, typer.Option(help="Class names: a file, one a line, or a,b,c.")]
Size = Annotated[str | None, typer.Option(help="Input size HxW or N, multiples of 32.")]
Method = Annotated[str, typer.Option(help="Range method: mse, max, percentile or entropy.")]
KeepInt8 = Annotated[
    bool, typer.Option("--keep-int8", help="Ship INT8 even if it is no faster here.")
]
