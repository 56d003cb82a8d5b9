"""Is the engine right on this device? A bundle's own frames, and what should be seen on them.

A bundle stores a few frames, the float network's detections on them, and those of its engine on
the machine where it was built. On the device the frames go through everything that a camera's
frames go through (letterbox, engine, decoding, suppression), and two questions are asked of the
result, with limits (`LIMITS`) that differ by an order of magnitude:

*Is it the detector?* Against the float network, an engine may differ by what INT8 costs. These
limits are wide and fixed: a limit derived from the engine's own result where it was built would
bless an engine that was wrong from the beginning. They catch an engine that detects nothing or
whose scores are compressed, wherever that began.

*Is it the engine that was built?* Against its own result where it was built, an engine may differ
by rounding only: another processor, another number of threads. These limits are narrow, so that
a device whose arithmetic saturates, a wrong letterbox or swapped channels are caught even by a
network that sees little on the frames. A target whose engine could not run where it was built
is asked the first question only.

Single objects near a threshold move a lot for innocent reasons. So the largest shifts are told,
but what decides are sums over all objects: the share lost, the mean shift of log odds, and mAP.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sdk.bundle import Bundle
from edge_sdk.detections import Detections
from edge_sdk.errors import EdgeError
from edge_sdk.runtime.agreement import SLACK, Agreement, agreement
from edge_sdk.runtime.detector import Detector
from edge_sdk.suppression import RUNNING

EXPECTED = "selftest/expected.json"
FRAMES = "selftest/frames.npz"
SCHEMA = 1
FLOAT, GUESSES, BUILT = "float", "guesses", "built"

LIMITS: dict[str, dict[str, float]] = {
    FLOAT: {"lost": 0.3, "log_odds": 0.5, "map_drop": 0.5},
    GUESSES: {"lost": 0.75, "log_odds": 1.5, "map_drop": 0.9},
    BUILT: {"lost": 0.05, "log_odds": 0.1, "map_drop": 0.2},
}
"""The most that an engine may differ: from the float network; from it on frames of which it
recognizes too little, so that its best guesses are compared; from itself where it was built.

Measured: an all-INT8 YOLO-NAS-N on the test camera differs from float by 0.01, 0.06 and 0.11, a
network for blood cells on the same frames (guesses) by 0.13, 0.67 and 0.51. Other arithmetic for
the same quantized graph (AVX2 for AVX-512, another library) gave at most 0.01, 0.04 and 0.11;
swapped channels 0.12, 0.42 and 0.65, a letterbox off by 3 pixels 0.52, 0.59 and 0.87.
"""
_WORDS = {
    "lost": "{value:.0%} of the objects are missed or added",
    "log_odds": "the scores are shifted by {value:.2f} in log odds",
    "map_drop": "mAP50-95 drops by {points:.0f} points",
}
_AGAINST = {
    FLOAT: "the float network",
    GUESSES: "the float network",
    BUILT: "this engine where it was built",
}

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Expectation:
    """The stored half of a selftest.

    Attributes
    ----------
    names : of the frames, for people.
    frames : BGR uint8 [h, w, 3] each; their sizes are not the network's.
    score : the least score of an object.
    recognized : whether that is the score that detectors run at. It is lower where the network
        recognizes too little on the frames.
    expected : the float network's detections on each frame.
    built : target -> its engine's detections where it was built.
    """

    names: tuple[str, ...]
    frames: tuple[Image, ...]
    score: float
    recognized: bool
    expected: tuple[Detections, ...]
    built: Mapping[str, tuple[Detections, ...]]

    def files(self) -> dict[str, bytes | str]:
        """Return the files of the bundle that hold this."""
        frames = io.BytesIO()
        np.savez_compressed(frames, *self.frames)
        values = {
            "schema": SCHEMA,
            "frames": self.names,
            "score": self.score,
            "recognized": self.recognized,
            "expected": [_plain(one) for one in self.expected],
            "built": {name: [_plain(one) for one in found] for name, found in self.built.items()},
        }
        return {EXPECTED: json.dumps(values), FRAMES: frames.getvalue()}

    @classmethod
    def read(cls, bundle: Bundle) -> Expectation:
        """Read what `files` made.

        Raises
        ------
        EdgeError
            If the bundle holds no selftest, or one that cannot be read.
        """
        if EXPECTED not in bundle.manifest["files"]:
            raise EdgeError(f"{bundle.path} holds no selftest: build it again with this version.")
        try:
            values = json.loads(bundle.file(EXPECTED).read_text(encoding="utf-8"))
            if values["schema"] != SCHEMA:
                raise ValueError(f"schema {values['schema']}, this version reads {SCHEMA}")
            classes = bundle.head_spec.class_names
            count = len(values["frames"])
            with np.load(bundle.file(FRAMES)) as arrays:
                frames = tuple(arrays[f"arr_{index}"] for index in range(count))
            return cls(
                tuple(values["frames"]),
                frames,
                float(values["score"]),
                bool(values["recognized"]),
                _detections(values["expected"], classes, count),
                {
                    target: _detections(found, classes, count)
                    for target, found in values["built"].items()
                },
            )
        except (
            KeyError, TypeError, ValueError, AttributeError, OSError, zipfile.BadZipFile, zlib.error
        ) as error:  # fmt: skip
            raise EdgeError(
                f"{bundle.path}: its selftest cannot be read ({error!r}): build it again."
            ) from error


@dataclass(frozen=True)
class Selftest:
    """The verdict on an engine.

    Attributes
    ----------
    target : the engine that was asked.
    frames : how many it was shown.
    recognized : see `Expectation`.
    against_float : how it agrees with the float network.
    against_build : how it agrees with itself where it was built; None if it did not run there.
    problems : a sentence on each limit that is passed.
    """

    target: str
    frames: int
    recognized: bool
    against_float: Agreement
    against_build: Agreement | None
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether the engine is right."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {"passed": self.passed, **asdict(self)}


def selftest(
    path: Path | str, *, target: str | None = None, threads: int | None = None, device: int = 0
) -> Selftest:
    """Run a bundle's stored frames through its engine, and compare what is seen.

    Parameters
    ----------
    path : a bundle.
    target : the engine to ask; None takes the best one that is installed.
    threads : that one inference may use; None leaves the choice to the engine.
    device : the GPU, as CUDA counts them.

    Raises
    ------
    EdgeError
        If the bundle cannot be used, holds no selftest, or has no engine for the target.
    MissingExtra
        If the target's package is not installed.
    """
    with Bundle.open(path) as bundle:
        stored = Expectation.read(bundle)
        settings = {**RUNNING, "score": stored.score / SLACK}
        with Detector(
            bundle.folder, target=target, threads=threads, device=device, **settings
        ) as detector:
            found = [detector(frame) for frame in stored.frames]
            return judge(stored, found, detector.target)


def judge(stored: Expectation, found: Sequence[Detections], target: str) -> Selftest:
    """Compare detections on the stored frames, taken down to `score / SLACK`, with the limits."""
    with_float = agreement(stored.expected, found, stored.score)
    compared = {FLOAT if stored.recognized else GUESSES: with_float}
    built = stored.built.get(target)
    if built is not None:
        compared[BUILT] = agreement(built, found, stored.score)
    problems = [
        sentence for kind, result in compared.items() for sentence in _problems(kind, result)
    ]
    if not with_float.objects:
        problems.append("The float network sees nothing at all on the frames.")
    return Selftest(
        target,
        len(stored.frames),
        stored.recognized,
        with_float,
        compared.get(BUILT),
        tuple(problems),
    )


def _problems(kind: str, result: Agreement) -> list[str]:
    values = result.to_dict()
    return [
        f"Against {_AGAINST[kind]}, "
        + _WORDS[name].format(value=values[name], points=100 * values[name])
        + f" (limit {limit:g})."
        for name, limit in LIMITS[kind].items()
        if values[name] > limit
    ]


def _plain(found: Detections) -> dict[str, Any]:
    return {
        "boxes": np.round(found.boxes.astype(float), 2).tolist(),
        "scores": [float(f"{score:.9g}") for score in found.scores.tolist()],
        "class_ids": found.class_ids.tolist(),
    }


def _detections(
    values: Sequence[Mapping[str, Any]], names: tuple[str, ...], count: int
) -> tuple[Detections, ...]:
    if len(values) != count:
        raise ValueError(f"{len(values)} results for {count} frames")
    return tuple(
        Detections(
            np.array(one["boxes"], np.float32).reshape(-1, 4),
            np.array(one["scores"], np.float32),
            np.array(one["class_ids"], np.int32),
            names,
        )
        for one in values
    )
