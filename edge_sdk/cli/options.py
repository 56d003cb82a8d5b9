"""Arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_sdk.errors import EdgeError

if TYPE_CHECKING:
    from edge_sdk.budget import Budget

Source = Annotated[Path, typer.Argument(help="A .pth, .safetensors or .onnx file.")]
Head = Annotated[
    str | None, typer.Option(help="yolo_nas, yolox or yolov8, if it is not recognized.")
]
Names = Annotated[str | None, typer.Option(help="Class names: a file, one a line, or a,b,c.")]
Size = Annotated[str | None, typer.Option(help="Input size HxW or N, multiples of 32.")]
Method = Annotated[str, typer.Option(help="Range method: mse, max, percentile or entropy.")]
PlanMethod = Annotated[
    str | None,
    typer.Option(
        help="Range method: mse, max, percentile or entropy; a search also knows auto, its "
        "default, which chooses for each group."
    ),
]
KeepInt8 = Annotated[
    bool, typer.Option("--keep-int8", help="Ship INT8 even if it is no faster here.")
]
InGraphNms = Annotated[
    bool,
    typer.Option(
        "--nms",
        help="For tensorrt and tensorrt:remote: add a graph that ends with suppression, for "
        "trtexec, DeepStream or Triton in place of our runtime.",
    ),
]
BuildTarget = Annotated[
    str,
    typer.Option(
        help="openvino or onnxruntime (this machine's CPU), tensorrt (its GPU), "
        "tensorrt-rtx:smNN (a GPU of that compute capability), tensorrt:remote (another device)."
    ),
]
RunTarget = Annotated[
    str | None,
    typer.Option(
        help="The engine to run: openvino, onnxruntime, or on a GPU tensorrt or tensorrt-rtx "
        "(experimental); by default the best one that runs here."
    ),
]
Device = Annotated[int, typer.Option(min=0, help="The GPU, as CUDA counts them.")]
Threads = Annotated[
    int | None,
    typer.Option(min=1, help="Threads of one inference; by default the engine's own choice."),
]
KeepFloat = Annotated[
    list[str] | None,
    typer.Option(help="Layers to keep float, by name or pattern ('*head*'); repeatable."),
]
Hybrid = Annotated[
    bool,
    typer.Option(
        "--hybrid", help="Search for the best hybrid: --max-shift 0.003 if no limit is given."
    ),
]
MaxDrop = Annotated[
    float | None,
    typer.Option(
        help="Search: points of mAP50-95 that may be lost on --labels; the upper 95 % bound of the "
        "loss (paired bootstrap over the images) is held to it, so few images need a wide limit."
    ),
]
MaxShift = Annotated[
    float | None,
    typer.Option(
        help="Search: how far scores (nats) and boxes (squared strides) may move from float's; "
        "0.001 is about 0.1 points of mAP50-95. Needs no labels."
    ),
]
MaxLatency = Annotated[
    float | None, typer.Option(help="Search: milliseconds that one inference may take.")
]
Latency = Annotated[
    Path | None, typer.Option(help="A table that `edge-sdk profile` wrote on the target.")
]
Labels = Annotated[
    str | None,
    typer.Option(help="Labelled images for --max-drop: training images, YOLO, COCO or VOC."),
]
Split = Annotated[str | None, typer.Option(help="The split of --labels to use; by default train.")]
ShowImages = Annotated[
    str | None,
    typer.Option(
        help="Images whose pictures the bundle may hold (report, selftest), not the test camera's."
    ),
]


def budget_of(
    hybrid: bool,
    max_drop: float | None,
    max_shift: float | None,
    max_latency: float | None,
    labels: str | None,
    split: str | None,
    **others: object,
) -> Budget | None:
    """Return the budget that the options tell, None if they ask for no search.

    Parameters
    ----------
    hybrid, max_drop, max_shift, max_latency, labels, split : the options of these names.
    others : further options that only a search uses, by name; None for those not given.

    Raises
    ------
    EdgeError
        If an option of a search is given without a budget, or the budget makes no sense.
    """
    from edge_sdk.budget import Budget

    if hybrid or any(limit is not None for limit in (max_drop, max_shift, max_latency)):
        if split is not None and labels is None:
            raise EdgeError(f"--split {split} is of no labels: give --labels, or leave it out.")
        return Budget(max_drop, max_shift, max_latency, labels, split or "train")
    for name, value in {"labels": labels, "split": split, **others}.items():
        if value is not None:
            raise EdgeError(
                f"--{name} is for a search, which needs a budget: give --hybrid, --max-shift, "
                f"--max-drop or --max-latency, or leave --{name} out."
            )
    return None
