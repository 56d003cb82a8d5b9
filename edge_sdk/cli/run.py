"""edge-sdk run: frames from cameras and files through a detector into sinks."""

from __future__ import annotations

import logging
import signal
import threading
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_sdk.cli.console import console, results
from edge_sdk.cli.options import Device, RunTarget
from edge_sdk.cli.tables import table

if TYPE_CHECKING:
    from edge_sdk.runtime import Result, Summary


def run(
    model: Annotated[Path, typer.Argument(help="A bundle NAME.edge, or a float .onnx.")],
    source: Annotated[
        list[str],
        typer.Option(
            help="A camera (0?size=1280x720&fps=30, rtsp://, http:// with MJPEG or HLS, csi://0, "
            "gst://PIPELINE), a video or pictures (?fps=, ?loop=N|forever), or "
            "test://street?seed=0. All take ?max_fps=N and ?roi=LEFT,TOP,WIDTH,HEIGHT. May be "
            "repeated."
        ),
    ],
    sink: Annotated[
        list[str] | None,
        typer.Option(
            help="A video to write or a .jsonl file, which replaces one of that name "
            "(?every=SECONDS replaces none, &keep=N removes all but the newest N), "
            "http://HOST/PATH, mqtt://HOST/TOPIC, shm://NAME (cameras of one size), or 'window'. "
            "May be repeated."
        ),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(help="latest (live: newest frame, others dropped) or every (files)."),
    ] = None,
    max_staleness: Annotated[
        float | None, typer.Option(help="Milliseconds; what is older is counted, not shown.")
    ] = None,
    duration: Annotated[float | None, typer.Option(help="Seconds to run.")] = None,
    max_frames: Annotated[int | None, typer.Option(help="Results to stop after.")] = None,
    stats: Annotated[
        str | None, typer.Option(help="A .jsonl file as with --sink, one line a second.")
    ] = None,
    serve: Annotated[
        str | None,
        typer.Option(help="HOST:PORT of a live page and /metrics, such as 127.0.0.1:8080."),
    ] = None,
    track: Annotated[
        bool, typer.Option("--track", help="Follow objects: each keeps a number, by camera.")
    ] = False,
    score: Annotated[
        float | None, typer.Option(help="The lowest score shown, 0..1; else the bundle's.")
    ] = None,
    iou: Annotated[
        float | None,
        typer.Option(help="Overlap above which boxes are one, 0..1; else the bundle's."),
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Of one inference.")] = None,
    parallel: Annotated[
        int | None,
        typer.Option(
            help="Inferences at a time: 2 of one thread give more than 1 of two. By default 1 on "
            "a CPU and 2 on a GPU."
        ),
    ] = None,
    target: RunTarget = None,
    device: Device = 0,
) -> None:
    """Stream frames through a detector; Ctrl-C ends, and finishes the files.

    Exits with 1 if a source, a sink or an inference failed while the others went on.
    """
    from edge_sdk.runtime import Detector, stream

    stop = _stop_at_signals()
    _show_log()
    settings = {"target": target, "threads": threads, "parallel": parallel, "device": device}
    with Detector(model, **settings, score=score, iou=iou) as detector:  # type: ignore[arg-type]
        with console.status(f"Streaming through {model} ({detector.target})") as status:
            summary = stream(
                detector,
                source,
                sinks=[*(sink or []), _Ticker(status)],
                policy=policy,  # type: ignore[arg-type]  # checked by stream, in one sentence
                max_staleness=max_staleness,
                duration=duration,
                max_frames=max_frames,
                track=track,
                stats=stats,
                serve=serve,
                stop=stop,
            )
        how = f"threads {threads or 'by default'}"
        how += f" x {detector.parallel}" if detector.parallel > 1 else ""
        _show(summary, f"{model.name}, {detector.target}, {how}")
    if summary.failures:
        raise typer.Exit(1)


def _stop_at_signals() -> threading.Event:
    """Let SIGINT and SIGTERM end the stream, also where a script's `&` has SIGINT ignored.

    The second one interrupts whatever is being done. A terminal that closes ends the stream too,
    if `nohup` does not keep that away.
    """
    stop = threading.Event()

    def handle(number: int, _: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: stop.set())  # comes twice: from shell and kernel
    return stop


def _show_log() -> None:
    """Print what the runtime tells, above the status line."""
    from edge_sdk.runtime.log import log

    handler = logging.Handler()
    handler.emit = lambda record: console.print(record.getMessage())  # type: ignore[method-assign]
    log.addHandler(handler)
    log.setLevel(logging.INFO)


class _Ticker:
    """A sink that keeps the status line up to date."""

    def __init__(self, status: Any) -> None:
        self._status = status
        self._frames = 0
        self._since = perf_counter()

    def __call__(self, result: Result) -> None:
        self._frames += 1
        elapsed = perf_counter() - self._since
        if elapsed >= 0.5:
            self._status.update(
                f"{result.frame.source.name}: frame {result.frame.index}, "
                f"{self._frames / elapsed:.1f} a second, {len(result.detections)} objects"
            )
            self._frames, self._since = 0, perf_counter()


def _show(summary: Summary, how: str) -> None:
    from edge_sdk.runtime.inbox import Counts

    counts = summary.counts
    reasons = [r for r in Counts().dropped if any(count.dropped[r] for count in counts.values())]
    rows = [
        {
            "source": name, "state": summary.cameras[name]["state"], "captured": count.captured,
            "delivered": count.delivered, **{reason: count.dropped[reason] for reason in reasons},
        }
        for name, count in counts.items()
    ]  # fmt: skip
    stages = [
        {"stage": name, **{key: round(value, 2) for key, value in stage._asdict().items()}}
        for name, stage in summary.stages.items()
        if stage.n
    ]
    results.print(table(rows))
    results.print(table(stages, title="milliseconds"))
    for failure in summary.failures:
        console.print(f"Failed: {failure}.")
    for remark in summary.remarks:
        console.print(f"Note: {remark}.")
    rate = f"{summary.delivered} results in {summary.seconds:.1f} s: {summary.fps:.1f} a second"
    results.print(f"{rate} ({how}).")
