"""Letterbox to 640 x 640 float32 RGB planes: ours against OpenCV, one thread, frames in rotation.

python benchmarks/letterbox.py
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from measure import conditions, interleaved, report

from edge_sdk.head_spec import Preprocessing
from edge_sdk.runtime.kernels import instruction_set, set_instruction_set
from edge_sdk.runtime.letterbox import Letterbox

SIDE = 640
FRAMES = 12  # more than the caches hold
REPETITIONS = 120
FRAME_SIZES = ((720, 1280), (1080, 1920), (1440, 2304))

Frame = npt.NDArray[np.uint8]
Input = npt.NDArray[np.float32]


def opencv_canvas(frame: Frame) -> Frame:
    """Resize and border."""
    height, width = frame.shape[:2]
    scale = min(SIDE / height, SIDE / width)
    rows, columns = round(height * scale), round(width * scale)
    top, left = (SIDE - rows) // 2, (SIDE - columns) // 2
    resized = cv2.resize(frame, (columns, rows), interpolation=cv2.INTER_LINEAR)
    return cv2.copyMakeBorder(
        resized, top, SIDE - rows - top, left, SIDE - columns - left,
        cv2.BORDER_CONSTANT, value=(114, 114, 114),
    )  # fmt: skip


def opencv_chain(frame: Frame) -> Input:
    """Resize, border, channel order, transpose, scale: step by step, as it is usually written."""
    rgb = cv2.cvtColor(opencv_canvas(frame), cv2.COLOR_BGR2RGB)
    return np.ascontiguousarray(rgb.transpose(2, 0, 1), dtype=np.float32) / np.float32(255)


def opencv_bytes_first(frame: Frame) -> Input:
    """Transpose bytes rather than floats."""
    rgb = cv2.cvtColor(opencv_canvas(frame), cv2.COLOR_BGR2RGB)
    return np.ascontiguousarray(rgb.transpose(2, 0, 1)).astype(np.float32) / np.float32(255)


def opencv_one_pass(frame: Frame) -> Input:
    """Let numpy do all that follows the border in one pass."""
    planes = opencv_canvas(frame)[..., ::-1].transpose(2, 0, 1)
    return np.multiply(planes, np.float32(1 / 255), dtype=np.float32, order="C")


def opencv_blob(frame: Frame) -> Input:
    return cv2.dnn.blobFromImage(opencv_canvas(frame), 1 / 255, swapRB=True)


def in_rotation(work: Callable[[Frame], Any], frames: list[Frame]) -> Callable[[], Any]:
    turn = itertools.cycle(frames)
    return lambda: work(next(turn))


def measure(size: tuple[int, int]) -> list[dict[str, Any]]:
    generator = np.random.default_rng(0)
    frames = [generator.integers(0, 256, (*size, 3), np.uint8) for _ in range(FRAMES)]
    letterbox = Letterbox(Preprocessing(), (SIDE, SIDE))
    outs = {kind: np.empty((3, SIDE, SIDE), kind) for kind in ("float32", "float16", "uint8")}
    work: dict[str, Callable[[Frame], Any]] = {
        "OpenCV chain": opencv_chain,
        "OpenCV, bytes transposed": opencv_bytes_first,
        "OpenCV, one numpy pass": opencv_one_pass,
        "OpenCV, blobFromImage": opencv_blob,
        **{f"ours, {kind}": lambda frame, out=out: letterbox(frame, out)
           for kind, out in outs.items()},
    }  # fmt: skip
    letterbox(frames[0], outs["float32"])
    error = 255 * np.abs(outs["float32"] - opencv_chain(frames[0])).max()
    timings = interleaved(
        {name: in_rotation(call, frames) for name, call in work.items()}, repetitions=REPETITIONS
    )
    chain = timings["OpenCV chain"].median
    return [
        {
            "frame": f"{size[1]} x {size[0]}",
            "what": name,
            "ms": round(timing.median, 3),
            "p10": round(timing.p10, 3),
            "p90": round(timing.p90, 3),
            "chain / this": round(chain / timing.median, 2),
            "error x 255": round(float(error), 2) if name == "ours, float32" else None,
        }
        for name, timing in timings.items()
    ]


def main() -> None:
    cv2.setNumThreads(1)
    set_instruction_set(None)
    rows = [row for size in FRAME_SIZES for row in measure(size)]
    report(
        "letterbox",
        rows,
        {
            **conditions(threads=1),
            "instructions": instruction_set(),
            "input": f"{FRAMES} random frames in rotation",
            "repetitions": REPETITIONS,
        },
    )


if __name__ == "__main__":
    main()
