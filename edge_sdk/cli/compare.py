"""edge-sdk compare: layer by layer, float against INT8 or engine against engine."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from edge_sdk.cli.console import print_json, progress_bar, results
from edge_sdk.cli.tables import details, table


def compare(
    first: Annotated[
        str,
        typer.Argument(metavar="A", help="The reference: a .onnx or NAME.edge, or that@TARGET."),
    ],
    second: Annotated[str, typer.Argument(metavar="B", help="What is compared with it.")],
    images: Annotated[
        str, typer.Option(help="A folder of images, or the test camera.")
    ] = "test://street?seed=0",
    limit: Annotated[int, typer.Option(min=1, help="Images to compare on.")] = 4,
    threads: Annotated[int | None, typer.Option(help="Of each engine.")] = None,
    worst: Annotated[
        int | None, typer.Option(min=1, help="Show only the tensors of the lowest SQNR.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show where two graphs or engines differ, tensor by tensor.

    model.onnx NAME.edge compares float with INT8; model.onnx@openvino model.onnx@onnxruntime
    compares the engines.
    """
    from edge_sdk.calibration.pictures import pictures
    from edge_sdk.evaluation import comparison
    from edge_sdk.evaluation.conditions import conditions

    a, b = comparison.open_side(first), comparison.open_side(second)
    frames = [picture.read() for picture in pictures(images, limit)]
    with progress_bar() as progress:
        differences = comparison.compare(a, b, frames, threads=threads, progress=progress)
    result = {
        "first": f"{first} ({a.target})",
        "second": f"{second} ({b.target})",
        "images": f"{len(frames)} of {images}",
        "outputs": list(a.spec.output_names),
        "tensors": [difference.to_dict() for difference in differences],
        "conditions": conditions(threads),
    }
    if json:
        print_json(result)
    else:
        _show(result, worst)


def _show(result: dict[str, Any], worst: int | None) -> None:
    rows = [{**row, "sqnr": _decibel(row)} for row in result["tensors"]]
    ranked = sorted(rows, key=_decibel)
    shown = ranked[:worst] if worst else rows
    results.print(table([_row(row) for row in shown]))
    outputs = [row for row in rows if row["tensor"] in result["outputs"]]
    title = f"outputs of {result['second']} against {result['first']}"
    results.print(table([_row(row) for row in outputs], title=title))
    if ranked and ranked[0]["sqnr"] < float("inf"):
        low = ranked[0]
        results.print(f"Lowest: {low['tensor']}, {low['sqnr']:.1f} dB.")
    results.print(details({"images": f"{result['images']}, read from the unfused graphs"}))
    results.print(details(result["conditions"]))


def _decibel(row: dict[str, Any]) -> float:
    return float("inf") if row["sqnr"] is None else float(row["sqnr"])


def _row(row: dict[str, Any]) -> dict[str, Any]:
    sqnr = "equal" if row["sqnr"] == float("inf") else f"{row['sqnr']:.1f}"
    return {
        "tensor": row["tensor"], "layer": row["layer"], "SQNR dB": sqnr,
        "max difference": row["max_abs"], "max value": row["max_ref"],
    }  # fmt: skip
