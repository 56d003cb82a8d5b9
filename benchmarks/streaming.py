"""Camera pipelines: how fast, how fresh, how fair, and whether they hold.

    python benchmarks/streaming.py rate age cameras disconnects soak fuzz overhead batching
    python benchmarks/streaming.py age --seconds 20        # a short form, not a result

Each part has its goal in its docstring and leaves results/streaming_PART.json. All of them run
on loopback and need nothing but this project, its extras, and for `age --peers` ultralytics and
roboflow's inference (0.51: later ones need its models' package as well).
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import cache
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import cv2
import numpy as np
from coded_camera import Sender
from measure import conditions, interleaved, report
from random_yolo_nas import CAMERA, write

from edge_sdk.calibration import calibrate
from edge_sdk.deployment import build, plan
from edge_sdk.errors import EdgeError
from edge_sdk.runtime import (
    Detector,
    Pipeline,
    Result,
    Source,
    StageTimes,
    open_engine,
    open_source,
    stream,
)  # fmt: skip
from edge_sdk.runtime.inbox import Counts

Rows = list[dict[str, Any]]

SCORE = 0.6
"""Few boxes pass: what is measured is the stream."""

SIZE = (1280, 720)

RATIO = 2.06
"""Of the camera's rate to the detector's, where ages are measured."""

TENTHS = 10
"""How often the memory is looked at while a camera is lost and found."""

TURNS = 4
"""Of each side, where ages are measured."""

MODEL: Path | None = None
"""A bundle in the place of the networks that the goals are about."""


@cache
def bundle(size: str) -> Path:
    """Return a YOLO-NAS of this size, INT8 in OpenVINO, with random weights."""
    if MODEL is not None:
        return MODEL
    folder = Path(tempfile.mkdtemp())
    model = write(folder / "model.onnx", size)
    calibrate(model, CAMERA, folder / "model.calib", limit=16)
    plan(model, folder / "model.calib", "openvino", folder / "plan.yaml")
    output = folder / "model.edge"
    build(model, folder / "model.calib", folder / "plan.yaml", "openvino", output, keep_int8=True)
    return output


@contextmanager
def video(frames: int) -> Iterator[Path]:
    """Give frames of the test camera as 720p MJPEG."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video.avi"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, SIZE)
        for frame in open_source(f"test://street?frames={frames}"):
            writer.write(frame.image)
        writer.release()
        yield path


def rate(options: argparse.Namespace) -> Rows:
    """A 720p file, YOLO-NAS-S, two threads: 1.15 times the plain loop, 93 % of the CPU's rate.

    The CPU's rate is what two cores would do if all the CPU time that a frame takes in one
    thread, decoding included, were shared among them without a gap: 2 / (s + p), where p is what
    an inference shares among its threads and s all the rest. The plain loop takes s + p / 2 a
    frame, so there is no more to gain over it than (s + p / 2) / ((s + p) / 2) = 1 + s / (s + p):
    1.15 times needs a rest of 15 % of the work, and that of this network is far from it
    (`most_to_gain`). What a stream gains beyond, it gains because two inferences of one thread
    keep two cores busier than one of two; above 1 of the CPU's rate is what that is off by.
    """
    frames = options.frames or 60
    with ExitStack() as stack:
        path = stack.enter_context(video(frames))
        one = stack.enter_context(Detector(bundle("s"), threads=1, score=SCORE))
        two = stack.enter_context(Detector(bundle("s"), threads=2, score=SCORE))
        pair = stack.enter_context(Detector(bundle("s"), threads=1, parallel=2, score=SCORE))

        def loop(detector: Detector) -> list[StageTimes]:
            return [detector.timed(frame.image)[1] for frame in open_source(path)]

        sides: dict[str, Callable[[], Any]] = {
            "plain loop, one inference of two threads": lambda: loop(two),
            "stream, one inference of two threads": lambda: stream(two, path),
            "stream, two inferences of one thread": lambda: stream(pair, path),
        }
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        loop(one)
        start = process_time()
        times = loop(one)
        cpu = (process_time() - start) / frames
        start = process_time()
        read = sum(1 for _ in open_source(path))
        rest = (process_time() - start) / read
        rest += float(np.median([time.letterbox + time.postprocess for time in times]))
        cv2.setNumThreads(threads)
        timings = interleaved(sides, repetitions=options.repetitions or 5, warmup=1)
    base = next(iter(timings.values())).median
    return [
        {
            "what": name,
            "frames_a_second": frames / timing.median * 1e3,
            "times_the_loop": base / timing.median,
            "of_the_cpu_rate": frames / timing.median * 1e3 * cpu / 2,
            "cpu_ms_a_frame": cpu * 1e3,
            "rest_ms_a_frame": rest * 1e3,
            "most_to_gain": 1 + rest / cpu,
            "frames": frames,
        }
        for name, timing in timings.items()
    ]


def age(options: argparse.Namespace) -> Rows:
    """A camera at twice the detector's rate: p99 of the age, less the engine's own time, below
    two of the camera's frame times, and no drift; lower than the peers' in one run.

    Ages are by the clock of the sender: network and decoding are in them. The rates are not quite
    one to two: at exactly that a side keeps the phase that it began with, good or bad, whereas
    the clocks of a real camera and a real detector drift through all of them. (A sender that
    jitters would do so, too, but would add to the very tail that is measured.) The sides take
    turns, so that what the machine does meanwhile falls on all of them.
    """
    seconds = options.seconds or 600
    with ExitStack() as stack:
        detector = stack.enter_context(Detector(bundle("s"), threads=1, score=SCORE))
        picture = next(iter(open_source("test://street"))).image
        spans = [detector.timed(picture)[1].total for _ in range(12)]
        fps = round(RATIO / float(np.median(spans)), 1)
        camera = stack.enter_context(closing(Sender(fps, SIZE)))
        sides: dict[str, Callable[[float], list[tuple[float, float, float]]]] = {
            "ours, latest": lambda span: ours(camera, detector, span)
        }
        if options.peers:
            sides["ultralytics' LoadStreams"] = lambda span: ultralytics(camera, detector, span)
            sides["roboflow's VideoSource"] = lambda span: roboflow(camera, detector, span)
        found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in sides}
        for _ in range(TURNS):
            for name, side in sides.items():
                found[name] += side(seconds / len(sides) / TURNS)[10:]
        return [figures_of_age(name, results, fps) for name, results in found.items()]


def ours(camera: Sender, detector: Detector, seconds: float) -> list[tuple[float, float, float]]:
    """Return moment, age and the engine's own time of each result, in seconds."""
    found: list[tuple[float, float, float]] = []

    def note(result: Result) -> None:
        found.append((perf_counter(), camera.age(result.frame.image), result.times.total))

    stream(detector, camera.url, sinks=[note], duration=seconds)
    return found


def ultralytics(
    camera: Sender, detector: Detector, seconds: float
) -> list[tuple[float, float, float]]:
    """The same, with ultralytics' stream loader in the place of ours."""
    from ultralytics.data.loaders import LoadStreams

    loader, found, start = LoadStreams(camera.url, buffer=False), [], perf_counter()
    for _, images, _ in loader:
        _, times = detector.timed(images[0])
        found.append((perf_counter(), camera.age(images[0]), times.total))
        if perf_counter() - start > seconds:
            break
    loader.close()
    return found


def roboflow(
    camera: Sender, detector: Detector, seconds: float
) -> list[tuple[float, float, float]]:
    """The same, with the source of roboflow's inference, told to give the newest frame."""
    from inference.core.interfaces.camera.video_source import (
        BufferConsumptionStrategy,
        BufferFillingStrategy,
        VideoSource,
    )

    source = VideoSource.init(
        camera.url,
        buffer_filling_strategy=BufferFillingStrategy.DROP_OLDEST,
        buffer_consumption_strategy=BufferConsumptionStrategy.EAGER,
    )
    source.start()
    found, start = [], perf_counter()
    while perf_counter() - start <= seconds:
        image = source.read_frame().image
        _, times = detector.timed(image)
        found.append((perf_counter(), camera.age(image), times.total))
    source.terminate(wait_on_frames_consumption=False, purge_frames_buffer=True)
    return found


def figures_of_age(
    name: str, found: list[tuple[float, float, float]], fps: float
) -> dict[str, Any]:
    """Return percentiles, in milliseconds, and the slope of the age over time."""
    moments, ages, engine = np.array(found).T
    extra = (ages - engine) * 1e3
    minutes = (moments - moments[0]) / 60
    (slope, _), covariance = np.polyfit(minutes, extra, 1, cov=True)
    p50, p99 = np.percentile(extra, (50, 99))
    return {
        "what": name,
        "camera_fps": fps,
        "results": len(found),
        "age_p50_ms": float(np.percentile(ages, 50)) * 1e3,
        "age_p99_ms": float(np.percentile(ages, 99)) * 1e3,
        "less_engine_p50_ms": float(p50),
        "less_engine_p99_ms": float(p99),
        "goal_p99_ms": 2e3 / fps,
        "slope_ms_a_minute": float(slope),
        "slope_error": float(covariance[0, 0] ** 0.5),
    }


def cameras(options: argparse.Namespace) -> Rows:
    """Four cameras at 70 % of what the machine serves, one at 1 fps, one that dies every 5 s: the
    other two keep 95 % of their rate.
    """
    seconds = options.seconds or 120
    with ExitStack() as stack:
        detector = stack.enter_context(Detector(bundle("n"), threads=1, parallel=2, score=SCORE))
        fps = round(0.7 * capacity(detector) / 3, 1)
        senders = [
            stack.enter_context(closing(Sender(rate, (640, 360), life)))
            for rate, life in ((fps, None), (fps, None), (1, None), (fps, 5))
        ]
        summary = stream(detector, [sender.url for sender in senders], duration=seconds)
    names = ("steady", "steady", "1 fps", "dies every 5 s")
    rows = []
    for what, sender, (name, counts) in zip(names, senders, summary.counts.items(), strict=True):
        about = summary.cameras[name]
        rows.append(
            {
                "what": what,
                "fps": sender.fps,
                "of_its_rate": counts.delivered / (summary.seconds * sender.fps),
                "goal": 0.95 if what == "steady" else None,
                "reconnects": about["reconnects"],
                "age_p99_ms": about["age_ms"]["p99"],
                **counts_of(counts),
            }
        )
    return rows


def capacity(detector: Detector) -> float:
    """Return the frames a second that a detector serves when it is fed by cameras like these."""
    with closing(Sender(500, (640, 360))) as sender:
        return stream(detector, sender.url, policy="every", duration=8).fps


def counts_of(counts: Counts) -> dict[str, Any]:
    """Return what became of frames, and whether it adds up."""
    return {
        "captured": counts.captured,
        "delivered": counts.delivered,
        **{reason: n for reason, n in counts.dropped.items() if n},
        "adds_up": counts.captured == counts.delivered + sum(counts.dropped.values()),
    }


def held() -> dict[str, float]:
    """Return what this process holds."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "threads": threading.active_count(),
        "files": len(os.listdir("/proc/self/fd")),
        "rss_mib": pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
    }


def disconnects(options: argparse.Namespace) -> Rows:
    """200 forced disconnects: 200 recoveries, no leaked thread or file, RSS flat.

    Memory that the C library keeps though it is free is in the RSS; it is not in the last figure,
    which is that after `malloc_trim`.
    """
    rounds = options.rounds or 200
    life = 0.4
    with (
        Detector(bundle("n"), threads=1, score=SCORE) as detector,
        closing(Sender(30, (320, 192), life)) as sender,
    ):
        stream(detector, sender.url, duration=3 * life)
        pipeline = Pipeline(detector, [open_source(sender.url)])
        camera = pipeline.cameras[0]
        due, samples = 1, []
        for _ in pipeline:
            if camera.reconnects >= due * rounds // TENTHS:
                samples.append(held())
                due += 1
            if camera.reconnects >= rounds:
                break
        pipeline.close()
        time.sleep(1)
        after = held()
        ctypes.CDLL(None).malloc_trim(0)
        trimmed = held()["rss_mib"]
        summary = pipeline.summary()
    about = next(iter(summary.cameras.values()))
    return [
        {
            "what": f"{rounds} disconnects",
            "recoveries": about["reconnects"],
            "seconds": summary.seconds,
            **{f"{name}_after_a_tenth": value for name, value in samples[0].items()},
            "rss_mib_by_tenths": " ".join(f"{sample['rss_mib']:.1f}" for sample in samples),
            **{f"{name}_after": value for name, value in after.items()},
            "rss_mib_trimmed": trimmed,
            **counts_of(next(iter(summary.counts.values()))),
        }
    ]


def soak(options: argparse.Namespace) -> Rows:
    """60 minutes at twice real time, objects followed: RSS grows by less than 1 %, and the counts
    add up.
    """
    seconds = options.seconds or 3600
    samples: list[dict[str, float]] = []
    with (
        Detector(bundle("n"), threads=1, score=SCORE) as detector,
        closing(Sender(60, (640, 360))) as sender,
        tempfile.TemporaryDirectory() as folder,
    ):
        sources = [open_source(sender.url), open_source("test://street?size=320x192&fps=60")]
        pipeline = Pipeline(detector, sources, policy="latest", duration=seconds, track=True)
        due = perf_counter() + seconds / 20
        with open(Path(folder) / "seen", "w") as file:
            for result in pipeline:
                file.write(f"{len(result.detections)}\n")
                if perf_counter() > due:
                    samples.append(held())
                    due = perf_counter() + seconds / 20
        summary = pipeline.summary()
    growth = samples[-1]["rss_mib"] / samples[1]["rss_mib"] - 1
    return [
        {
            "what": name.partition("?")[0],
            "seconds": summary.seconds,
            "rss_growth_percent": 100 * growth,
            "rss_mib": samples[-1]["rss_mib"],
            "objects": summary.cameras[name]["objects"],
            **counts_of(counts),
        }
        for name, counts in summary.counts.items()
    ]


def fuzz(options: argparse.Namespace) -> Rows:
    """1,000 fuzzed or truncated media files and URIs: clear errors, no crash, no hang."""
    rounds = options.rounds or 1000
    outcomes = {"frames": 0, "clear error": 0, "other error": 0, "crash": 0, "hang": 0}
    each = 50
    for seed in range(-(-rounds // each)):
        count = min(each, rounds - seed * each)
        try:
            program = subprocess.run(
                [sys.executable, __file__, "fuzzed", "--seed", str(seed), "--rounds", str(count)],
                capture_output=True, text=True, timeout=300, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            outcomes["hang"] += 1
            continue
        outcomes["crash"] += program.returncode < 0
        for line in program.stdout.splitlines():
            outcomes[line if line in outcomes else "other error"] += 1
            if line not in outcomes:
                print(line)
    return [{"what": name, "count": count} for name, count in outcomes.items()]


def fuzzed(options: argparse.Namespace) -> Rows:
    """One batch of `fuzz`, in a process of its own: prints a line a file."""
    rng = random.Random(options.seed)
    with video(4) as clip, tempfile.TemporaryDirectory() as folder:
        originals = [clip, Path(folder) / "a.png"]
        cv2.imwrite(str(originals[1]), np.zeros((64, 64, 3), np.uint8))
        for _ in range(options.rounds):
            uri = fuzzed_uri(rng) if rng.random() < 0.4 else fuzzed_file(rng, originals, folder)
            print(outcome(uri), flush=True)
    return []


def fuzzed_file(rng: random.Random, originals: list[Path], folder: str) -> str:
    """Write a file with bytes changed or its end cut off."""
    original = rng.choice(originals)
    data = bytearray(original.read_bytes())
    for _ in range(rng.choice((0, 1, 20, 500))):
        data[rng.randrange(len(data))] = rng.randrange(256)
    suffix = rng.choice((original.suffix, ".mp4", ".jpg", ".mkv"))
    path = Path(folder) / f"fuzzed{suffix}"
    path.write_bytes(data[: rng.choice((len(data), rng.randrange(len(data))))])
    return str(path)


def fuzzed_uri(rng: random.Random) -> str:
    """Return something like a URI that leads nowhere."""
    starts = (
        "", "file://", "rtsp://127.0.0.1:9/", "http://127.0.0.1:9/", "test://street?", "csi://",
        "gst://", "mqtt://", "://", "http://[", "rtsp://u:p@127.0.0.1:9/?",
    )  # fmt: skip
    letters = "abz09?&=/:@%*[]{}!. -x,\0é\n'\""
    text = rng.choice(starts) + "".join(rng.choices(letters, k=rng.randrange(20)))
    options = ("size=1x", "fps=-1", "fps=nan", "loop=0", "roi=9,9,9", "max_fps=1e999", "timeout=1")
    return text + rng.choice(("", "?", "&")) + rng.choice(options)


def outcome(uri: str) -> str:
    """Read a few frames, and tell what happened."""
    try:
        with open_source(uri) as source:
            for frame in source:
                if frame.index > 8:
                    break
    except EdgeError:
        return "clear error"
    except Exception as error:
        return f"{uri!r}: {error!r}"
    return "frames"


class NoDetector(Detector):
    """A detector that costs nothing: what is left is the pipeline."""

    def __init__(self, detector: Detector) -> None:
        self._found = detector.timed(np.zeros((64, 64, 3), np.uint8))
        self.engine = detector.engine

    def timed(self, frame: Any) -> Any:
        """Return what was found once."""
        return self._found


def overhead(options: argparse.Namespace) -> Rows:
    """The pipeline's own CPU time a frame, below 1 % of a frame's 33 ms; and the age of results
    beside a thread that does nothing but spin in Python.
    """
    frames = options.frames or 3000
    rows: Rows = []
    with Detector(bundle("n"), threads=1, score=SCORE) as detector:
        nothing = NoDetector(detector)
        for what, live in (("a file", False), ("a camera", True)):
            start = process_time()
            stream(nothing, Blank(frames, live), policy="every")
            own = (process_time() - start) / frames
            rows.append({
                "what": f"pipeline alone, {what}", "cpu_us_a_frame": own * 1e6,
                "percent_of_a_frame": own * 30 * 100, "goal": 1.0,
            })  # fmt: skip
        for spinning in (False, True):
            stop = threading.Event()
            spinner = threading.Thread(target=spin, args=(stop,), daemon=True)
            if spinning:
                spinner.start()
            summary = stream(
                detector, "test://street?size=320x192", policy="latest",
                duration=options.seconds or 20,
            )  # fmt: skip
            stop.set()
            stages = summary.stages
            rows.append({
                "what": f"with an engine{', beside a spinning thread' * spinning}",
                **{f"{name}_p50_ms": stages[name].p50 for name in ("wait", "inference", "age")},
                **{f"{name}_p99_ms": stages[name].p99 for name in ("wait", "inference", "age")},
            })  # fmt: skip
    return rows


class Blank(Source):
    """The same picture again and again, at no cost."""

    def __init__(self, frames: int, live: bool) -> None:
        super().__init__("blank", 30.0)
        self.live = live
        self._frames = frames

    def _images(self) -> Iterator[Any]:
        image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
        for _ in range(self._frames):
            yield image


def spin(stop: threading.Event) -> None:
    """Keep the interpreter busy."""
    while not stop.is_set():
        pass


def batching(options: argparse.Namespace) -> Rows:
    """Whether batches across cameras would help: milliseconds an image by batch, one thread."""
    rows: Rows = []
    with tempfile.TemporaryDirectory() as folder:
        model = dynamic(write(Path(folder) / "model.onnx", "n"), Path(folder) / "dynamic.onnx")
        for target in ("openvino", "onnxruntime"):
            engine = open_engine(model, target, threads=1)
            workers = {f"batch {n}": engine.worker(n) for n in (1, 2, 4)}
            timings = interleaved(dict(workers), repetitions=options.repetitions or 10, warmup=1)
            for name, timing in timings.items():
                count = int(name.split()[1])
                rows.append({"what": f"{target}, {name}", "ms_an_image": timing.median / count})
    return rows


def dynamic(model: Path, output: Path) -> Path:
    """Write the model with a batch of any size."""
    import onnx

    graph = onnx.load(model)
    for value in (*graph.graph.input, *graph.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "n"
    onnx.save(graph, output)
    return output


PARTS: dict[str, Callable[[argparse.Namespace], Rows]] = {
    part.__name__: part
    for part in (rate, age, cameras, disconnects, soak, fuzz, overhead, batching)
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("parts", nargs="+", choices=[*PARTS, "fuzzed"])
    parser.add_argument("--seconds", type=float, help="of age, cameras, soak and overhead")
    parser.add_argument("--frames", type=int, help="of rate and overhead")
    parser.add_argument("--repetitions", type=int, help="of rate and batching")
    parser.add_argument("--rounds", type=int, help="of disconnects and fuzz")
    parser.add_argument("--peers", action="store_true", help="age: other loaders as well")
    parser.add_argument("--model", type=Path, help="a bundle to take in place of the networks")
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.parts == ["fuzzed"]:
        fuzzed(options)
        return
    global MODEL
    MODEL = options.model
    short = any((options.seconds, options.frames, options.repetitions, options.rounds))
    for part in options.parts:
        rows = PARTS[part](options)
        about = {"goal": " ".join((PARTS[part].__doc__ or "").split("\n\n")[0].split())}
        if MODEL is not None:
            about["model"] = MODEL.name
        if short:
            for row in rows:
                print({key: round(v, 3) if isinstance(v, float) else v for key, v in row.items()})
        else:
            report(f"streaming_{part}", rows, {**about, **conditions(2)})


if __name__ == "__main__":
    main()
