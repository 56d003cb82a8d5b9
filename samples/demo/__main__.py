"""The main job on a machine that has neither a camera nor a GPU: `make demo`.

A YOLO-NAS-N that was trained on the test camera, still with its training-time branches, is
fused and proved, calibrated, planned (the search for the best hybrid), built, measured against its
float self on streets that it has never seen, and streamed to a video. Interrupt it and start it
again: it goes on.
"""

from __future__ import annotations

import argparse
import platform
import sys
from pathlib import Path

from figures import Figures, measure
from page import write_page
from picture import draw_run
from rich.console import Console
from rich.table import Table

import edge_sdk
from edge_sdk.budget import Budget
from edge_sdk.cli.console import progress_bar
from edge_sdk.deployment import Build, work_folder
from edge_sdk.files import make_folder

MODEL = Path(__file__).parents[2] / "weights/n_street.onnx"
CALIBRATION = "test://street?split=calibration&size=1280x720"
CAMERA = "test://street?seed=7&size=1280x720&fps=30"
TARGET = "openvino" if platform.machine() == "x86_64" else "onnxruntime"

console = Console(highlight=False, soft_wrap=True)


def main(arguments: list[str] | None = None) -> None:
    """Run the demo; everything it makes lands in one folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("demo"))
    parser.add_argument("--calibration-frames", type=int, default=128)
    parser.add_argument("--evaluation-frames", type=int, default=400)
    parser.add_argument("--stream-frames", type=int, default=300)
    options = parser.parse_args(arguments)
    out: Path = options.output
    make_folder(out)

    bundle = out / "street.edge"
    console.print(f"[bold]1[/] fuse, prove, calibrate, plan and build {MODEL.name} for {TARGET}")
    with progress_bar() as progress:
        build = edge_sdk.deploy(
            MODEL, CALIBRATION, TARGET, bundle,
            limit=options.calibration_frames, budget=Budget(), progress=progress,
        )  # fmt: skip
    float_model = work_folder(bundle) / "model.onnx"

    console.print("[bold]2[/] measure float and INT8 on streets that neither has seen")
    with progress_bar() as progress:
        figures = measure(float_model, bundle, TARGET, options.evaluation_frames, progress)

    console.print("[bold]3[/] stream the test camera")
    with progress_bar() as progress:
        frames = options.stream_frames
        done = iter(range(1, frames + 1))
        stream = edge_sdk.stream(
            bundle, CAMERA, policy="every", max_frames=frames,
            sinks=[str(out / "street.mp4"), lambda _: progress(next(done), frames, "streaming")],
        )  # fmt: skip
    if stream.delivered < frames:  # a stream that is interrupted ends as any other
        raise KeyboardInterrupt

    draw_run(out / "demo.png", float_model, bundle, TARGET, CAMERA, figures)
    write_page(out / "report.html", bundle, figures, stream, out / "demo.png")
    conclude(build, figures, stream.fps, out)


def conclude(build: Build, figures: Figures, fps: float, out: Path) -> None:
    """Print what was found, where it lies, and what to do next."""
    table = Table(title=f"YOLO-NAS-N on the test camera, {figures.conditions}")
    for column in ("", "mAP50-95", "mAP50", "engine, ms", "frame to detections, ms"):
        table.add_column(column, justify="left" if column == "" else "right")
    for name, row in figures.rows.items():
        latency = row.latency
        table.add_row(
            name, f"{row.accuracy.map:.3f}", f"{row.accuracy.map50:.3f}",
            f"{latency.inference.p50:.2f}", f"{latency.total.p50:.2f}",
        )  # fmt: skip
    console.print(table)
    loss = figures.loss
    console.print(
        f"INT8 is {figures.speedup:.2f} times as fast and loses {100 * loss.value:.2f} points "
        f"(95 % bounds {100 * loss.lower:.2f} to {100 * loss.upper:.2f}, {loss.images} frames). "
        f"Streamed at {fps:.0f} frames a second, drawing and video included."
    )
    if build.search is not None:
        console.print(f"The plan was searched for {build.search.budget}: {build.search.remark}")
    if build.refused:
        console.print("INT8 is not worth it on this machine, so the bundle holds float.")
    console.print(
        f"\nLook at [bold]{out / 'demo.png'}[/], [bold]{out / 'street.mp4'}[/] and "
        f"[bold]{out / 'report.html'}[/].\n\n"
        "Next, with a model, images and a camera of your own:\n"
        "  .venv/bin/edge-sdk deploy MODEL.onnx --images FOLDER --target "
        f"{TARGET} --hybrid -o mine.edge\n"
        "  .venv/bin/edge-sdk eval mine.edge --data FOLDER_WITH_LABELS\n"
        "  .venv/bin/edge-sdk run mine.edge --source 0 --sink seen.mp4"
    )


if __name__ == "__main__":
    try:
        main()
    except edge_sdk.EdgeError as error:
        sys.exit(f"demo: {error}")
    except KeyboardInterrupt:
        sys.exit("demo: interrupted; `make demo` goes on where it stopped.")
