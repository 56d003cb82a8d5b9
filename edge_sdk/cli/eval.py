"""edge-sdk eval: COCO mean average precision on labelled images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edge_sdk.cli.console import console, print_json, progress_bar, results
from edge_sdk.cli.options import Device, RunTarget
from edge_sdk.cli.tables import details, table


def eval(
    model: Annotated[Path, typer.Argument(help="A bundle NAME.edge, or a float .onnx.")],
    data: Annotated[
        str,
        typer.Option(help="A folder with a data.yaml, a COCO json, a VOC folder, or test://street"),
    ],
    split: Annotated[str, typer.Option(help="train, val or test.")] = "val",
    target: RunTarget = None,
    device: Device = 0,
    threads: Annotated[int | None, typer.Option(help="Of one inference.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first images.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Measure a detector's accuracy on labelled images."""
    from edge_sdk.datasets import open_dataset
    from edge_sdk.evaluation.conditions import conditions
    from edge_sdk.evaluation.evaluate import EVALUATION, evaluate
    from edge_sdk.runtime import Detector

    dataset = open_dataset(data, split)
    dataset = dataset.first(limit) if limit else dataset
    with (
        Detector(model, target=target, device=device, threads=threads, **EVALUATION) as detector,
        progress_bar() as progress,
    ):
        accuracy = evaluate(detector, dataset, progress)
        result = {
            "model": str(model),
            "data": dataset.source,
            "split": dataset.split,
            "target": detector.target,
            **accuracy.to_dict(),
            "settings": EVALUATION,
            "conditions": conditions(threads),
        }
    if json:
        print_json(result)
    else:
        _show(result)


def _show(result: dict[str, Any]) -> None:
    overall = {
        "mAP50-95": result["map"], "mAP50": result["map50"], "mAP75": result["map75"],
        "small": result["small"], "medium": result["medium"], "large": result["large"],
        "images": result["images"], "objects": result["objects"],
    }  # fmt: skip
    classes = [
        {"class": name, "mAP50-95": one["map"], "mAP50": one["map50"], "objects": one["objects"]}
        for name, one in result["per_class"].items()
        if one["objects"]
    ]
    where = f"{result['data']}, {result['split']}"
    results.print(table(classes))
    results.print(table([overall], title=f"{result['model']} ({result['target']}) on {where}"))
    for remark in result["remarks"]:
        console.print(f"Note: {remark}.")
    results.print(details(result["settings"]))
    results.print(details(result["conditions"]))
