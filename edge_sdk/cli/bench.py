"""edge-sdk bench: latency percentiles by stage."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_sdk.cli.console import print_json, progress_bar, results
from edge_sdk.cli.options import Device, RunTarget
from edge_sdk.cli.tables import details, table
from edge_sdk.errors import EdgeError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edge_sdk.runtime import Detector

_FRAMES = 32
"""Frames that are read ahead and used in rotation: decoding is not timed."""


def bench(
    model: Annotated[Path, typer.Argument(help="A bundle NAME.edge, or a float .onnx.")],
    source: Annotated[
        str, typer.Option(help="Frames: a video, a folder of images or the test camera.")
    ] = "test://street?seed=0",
    target: RunTarget = None,
    device: Device = 0,
    threads: Annotated[int | None, typer.Option(help="Of one inference.")] = None,
    repetitions: Annotated[int, typer.Option(min=1, help="Timed frames.")] = 200,
    warmup: Annotated[int, typer.Option(min=0, help="Frames before, not counted.")] = 20,
    against_float: Annotated[
        bool, typer.Option("--float", help="Time the bundle's float model in turn with it.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Measure how long a frame takes: letterbox, inference, post-processing, total."""
    from edge_sdk.evaluation.conditions import conditions
    from edge_sdk.evaluation.latency import measure_latency
    from edge_sdk.gpu_state import gpu_state
    from edge_sdk.runtime.backends import on_gpu

    with ExitStack() as stack, progress_bar() as progress:
        detectors = _open(stack, model, target, device, threads, against_float)
        frames = _frames(source)
        measured = measure_latency(
            detectors, frames, repetitions=repetitions, warmup=warmup, progress=progress
        )
        first = next(iter(detectors.values()))
        sizes = sorted({f"{frame.shape[1]} x {frame.shape[0]}" for frame in frames})
        result = {
            "model": str(model),
            "target": first.target,
            "threads": threads or "chosen by the engine",
            "input_size": list(first.spec.input_size),
            "source": source,
            "frames": f"{len(frames)} of {_few(sizes)}, in rotation",
            "repetitions": repetitions,
            "warmup": f"{warmup} frames before, not counted",
            "unit": "milliseconds",
            "latency": {name: latency.to_dict() for name, latency in measured.items()},
            "conditions": {
                **conditions(threads),
                **({"gpu": gpu_state(device)} if on_gpu(first.target) else {}),
            },
        }
    if json:
        print_json(result)
    else:
        _show(result)


def _open(
    stack: ExitStack, model: Path, target: str | None, device: int, threads: int | None,
    against_float: bool,
) -> dict[str, Detector]:  # fmt: skip
    from edge_sdk.runtime import Detector

    first = stack.enter_context(Detector(model, target=target, device=device, threads=threads))
    if not against_float:
        return {model.name: first}
    if model.suffix == ".onnx":
        raise EdgeError(f"{model} is the float model already: --float is for bundles.")
    from edge_sdk.bundle import Bundle

    bundle = stack.enter_context(Bundle.open(model))
    plain = Detector(bundle.file("model.onnx"), target=first.target, threads=threads)
    return {model.name: first, "float": stack.enter_context(plain)}


def _frames(source: str) -> list[npt.NDArray[np.uint8]]:
    from edge_sdk.runtime import open_source

    with open_source(source) as frames:
        images = [frame.image for frame in islice(frames, _FRAMES)]
    if not images:
        raise EdgeError(f"{source} has no frame.")
    return images


def _few(sizes: list[str]) -> str:
    return ", ".join(sizes) if len(sizes) < 4 else f"{len(sizes)} sizes"


def _show(result: dict[str, Any]) -> None:
    for name, latency in result["latency"].items():
        rows = [{"milliseconds": stage, **values} for stage, values in latency.items()]
        results.print(table(rows, title=f"{name} ({result['target']})"))
    if "float" in result["latency"]:
        ours, plain = (latency["total"]["p50"] for latency in result["latency"].values())
        results.print(f"{plain / ours:.2f} times the speed of float on {result['target']}.")
        if plain / ours < 1.02:
            results.print("That is no gain worth its loss of accuracy: ship float on this target.")
    shown = ("threads", "input_size", "source", "frames", "warmup")
    results.print(details({name: result[name] for name in shown}))
    results.print(details(result["conditions"]))
