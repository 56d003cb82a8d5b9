"""Tracking: how well objects keep their numbers on the test camera, and what a frame costs.

    python benchmarks/tracking.py --peer /path/to/python      # one that has `supervision`

Detections are those of weights/n_street.onnx down to a score of 0.05, or with --true the exact
boxes, which a tracker can do no better than follow. A detection shows an object if they overlap by
half or more. IDF1 (Ristani et al. 2016) is the share of boxes that bear the right number under the
best one-to-one assignment of numbers to objects over a world; switches are the times that an
object's number changes, and MOTA is 1 less switches, misses and false boxes over all true boxes.
A crowd's objects keep their place in the order of scores, so that some never have one of 0.5, where
our tracks begin by default; it is followed with tracks from the peer's 0.35 as well.
The peer runs on the same detections in a process of its own; results/tracking.json has it all.
"""

from __future__ import annotations

import argparse
import pickle
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

MODEL = Path(__file__).parents[1] / "weights" / "n_street.onnx"
CROWDS = (10, 50, 200)
FLOOR = 0.05
LOW = 0.025
"""A tracker's `score` with which tracks begin at 0.35, as the peer's do."""

FPS = 30.0


class Seen(NamedTuple):
    """One frame: detections, and the truth."""

    boxes: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    class_ids: npt.NDArray[np.int32]
    true_boxes: npt.NDArray[np.float32]
    things: npt.NDArray[np.int64]


World = list[Seen]
Follow = Callable[[Seen, float], tuple[npt.NDArray[np.float32], list[int]]]
"""The next frame and its time -> boxes, and the numbers of their objects."""


def ours(score: float = 0.25) -> Follow:
    from edge_sdk.detections import Detections
    from edge_sdk.runtime import Tracker

    tracker, names = Tracker(score), ("",) * 80

    def follow(seen: Seen, time: float) -> tuple[npt.NDArray[np.float32], list[int]]:
        found = tracker(Detections(seen.boxes, seen.scores, seen.class_ids, names), time)
        return found.boxes, found.track_ids.tolist()

    return follow


def supervisions() -> Follow:
    import supervision

    tracker = supervision.ByteTrack(frame_rate=FPS)

    def follow(seen: Seen, time: float) -> tuple[npt.NDArray[np.float32], list[int]]:
        found = tracker.update_with_detections(
            supervision.Detections(
                xyxy=seen.boxes, confidence=seen.scores, class_id=seen.class_ids.astype(int)
            )
        )
        return found.xyxy, found.tracker_id.tolist()

    return follow


def run(begin: Callable[[], Follow], worlds: list[World]) -> tuple[list[Any], list[float]]:
    """Return boxes and numbers of every frame of every world, and milliseconds a frame."""
    answers, times = [], []
    for world in worlds:
        follow = begin()
        for index, seen in enumerate(world):
            start = perf_counter()
            answers.append(follow(seen, index / FPS))
            times.append((perf_counter() - start) * 1e3)
    return answers, times


def street(seeds: range, frames: int, true: bool) -> list[World]:
    """Return worlds of the test camera as a detector, or nobody less than the truth, sees them."""
    from edge_sdk.runtime import Detector
    from edge_sdk.runtime.sources.street import Street

    worlds = []
    with Detector(MODEL, threads=1) as detector:
        for seed in seeds:
            world, camera = [], Street(seed, fps=FPS)
            for index in range(frames):
                frame, things = camera.followed(index)
                seen = (frame.boxes, np.full(len(things), 0.9, np.float32), frame.class_ids)
                if not true:
                    found = detector.timed(frame.image, FLOOR)[0]
                    seen = (found.boxes, found.scores, found.class_ids)
                world.append(Seen(*seen, frame.boxes, things))
            worlds.append(world)
    return worlds


def crowd(count: int, frames: int = 200, seed: int = 0) -> World:
    """Return objects that drift, a tenth of them unseen at a time."""
    rng = np.random.default_rng(seed)
    corners, sizes = rng.random((count, 2)) * (1180, 620), 30 + rng.random((count, 2)) * 60
    speeds, world = rng.normal(size=(count, 2)) * 2, []
    for index in range(frames):
        places = corners + speeds * index + rng.normal(size=(count, 2))
        boxes = np.concatenate([places, places + sizes], 1).astype(np.float32)
        keep = rng.random(count) > 0.1
        scores = np.sort(0.3 + 0.7 * rng.random(int(keep.sum())).astype(np.float32))[::-1].copy()
        ids = np.zeros(len(scores), np.int32)
        world.append(Seen(boxes[keep], scores, ids, boxes, np.arange(count)))
    return world


def overlap(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (a, b)]
    return np.asarray(common / (areas[0][:, None] + areas[1][None] - common), float)


def figures(worlds: list[World], answers: list[Any]) -> dict[str, float]:
    """Return IDF1, switches and so on over all worlds."""
    total: Counter[str] = Counter()
    answer = iter(answers)
    for world in worlds:
        total.update(figures_of_world(world, [next(answer) for _ in world]))
    wrong = total["switches"] + total["missed"] + total["false"]
    return {
        "IDF1": 2 * total["right"] / (total["true"] + total["told"]),
        "MOTA": 1 - wrong / total["true"],
        **{name: total[name] for name in ("switches", "objects", "numbers", "true", "told")},
    }


def figures_of_world(world: World, answers: list[Any]) -> dict[str, int]:
    from scipy.optimize import linear_sum_assignment

    together: Counter[tuple[int, int]] = Counter()
    last: dict[int, int] = {}
    switches = matched = 0
    for seen, (boxes, numbers) in zip(world, answers, strict=True):
        common = overlap(seen.true_boxes, np.asarray(boxes, np.float32).reshape(-1, 4))
        things = seen.things.tolist()
        for row, column in zip(*np.nonzero(common >= 0.5), strict=True):
            together[things[row], numbers[column]] += 1
        # Those that go on with the same number first, as CLEAR MOT has it.
        same = np.array([[last.get(thing) == number for number in numbers] for thing in things])
        costs = np.where(common >= 0.5, 1 - common - 2 * same.reshape(common.shape), 10.0)
        for row, column in zip(*linear_sum_assignment(costs), strict=True):
            if costs[row, column] < 10:
                matched += 1
                switches += last.get(things[row], numbers[column]) != numbers[column]
                last[things[row]] = numbers[column]
    true = sum(len(seen.things) for seen in world)
    told = sum(len(numbers) for _, numbers in answers)
    rows = {thing: place for place, thing in enumerate({thing for thing, _ in together})}
    columns = {number: place for place, number in enumerate({number for _, number in together})}
    table = np.zeros((len(rows), len(columns)))
    for (thing, number), count in together.items():
        table[rows[thing], columns[number]] = count
    return {
        "right": int(table[linear_sum_assignment(-table)].sum()),
        "switches": switches, "missed": true - matched, "false": told - matched,
        "true": true, "told": told,
        "objects": len({thing for seen in world for thing in seen.things.tolist()}),
        "numbers": len({number for _, numbers in answers for number in numbers}),
    }  # fmt: skip


def peers(python: Path, worlds: list[World]) -> tuple[list[Any], list[float]]:
    """Return what `run` does, of the peer in its own environment."""
    with tempfile.TemporaryDirectory() as folder:
        question, reply = Path(folder) / "worlds", Path(folder) / "answers"
        question.write_bytes(pickle.dumps([[tuple(seen) for seen in world] for world in worlds]))
        subprocess.run([python, __file__, "--answer", question, reply], check=True)
        return pickle.loads(reply.read_bytes())  # type: ignore[no-any-return]


def answer(question: Path, reply: Path) -> None:
    """Be the peer."""
    worlds = [[Seen(*seen) for seen in world] for world in pickle.loads(question.read_bytes())]
    reply.write_bytes(pickle.dumps(run(supervisions, worlds)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--peer", type=Path, help="a Python that has supervision")
    parser.add_argument("--worlds", type=int, default=10)
    parser.add_argument("--frames", type=int, default=150, help="a world")
    parser.add_argument("--answer", type=Path, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.answer:
        answer(*options.answer)
        return
    from measure import conditions, report

    sides = {"ours": lambda worlds: run(ours, worlds)}
    if options.peer:
        sides["supervision's ByteTrack"] = lambda worlds: peers(options.peer, worlds)
    rows: list[dict[str, Any]] = []
    for what in ("the detector's boxes", "the true boxes"):
        worlds = street(range(options.worlds), options.frames, what == "the true boxes")
        for name, side in sides.items():
            answers, times = side(worlds)
            ms = float(np.median(times))
            rows.append({"what": f"{name}, {what}", **figures(worlds, answers), "ms_a_frame": ms})
    sides["ours, tracks from a score of 0.35"] = lambda worlds: run(partial(ours, LOW), worlds)
    for count in CROWDS:
        worlds = [crowd(count)]
        for name, side in sides.items():
            answers, times = side(worlds)
            ms = float(np.median(times))
            what = f"{name}, {count} objects"
            rows.append({"what": what, **figures(worlds, answers), "ms_a_frame": ms})
    about = {"worlds": options.worlds, "frames_a_world": options.frames, "fps": FPS}
    report("tracking", rows, {**about, **conditions(1)})


if __name__ == "__main__":
    main()
