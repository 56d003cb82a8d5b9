"""The CUDA kernels' speed: the letterbox against the memory bandwidth, the rest in microseconds.

Bandwidth is what a copy from device memory to device memory reaches here, reading and writing
counted. The letterbox must touch the sectors of 32 bytes in which its samples lie, and its output;
that many bytes a second, as a part of the bandwidth, is its figure. The goal is 70 %. A launch
takes but some microseconds where the bandwidth is large, so a copy of as many bytes as it touches
is measured beside each: what the beginning and the end of any launch cost.

Launches are captured as one CUDA graph and go through several batches in turn, more memory than
the GPU's cache holds; the time between two launches counts. Half a second of them comes first, in
which clocks rise, and the bandwidth is measured again at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edge_sdk.evaluation.timing import settle
from edge_sdk.head_spec import HeadSpec, Preprocessing
from edge_sdk.runtime.cuda.context import Context
from edge_sdk.runtime.cuda.driver import call
from edge_sdk.runtime.cuda.frame import DeviceFrame
from edge_sdk.runtime.cuda.kernels.candidates import CudaCandidates
from edge_sdk.runtime.cuda.kernels.letterbox import CudaLetterbox
from edge_sdk.runtime.cuda.kernels.suppression import CudaSuppression
from edge_sdk.runtime.cuda.memory import DeviceBuffer
from edge_sdk.runtime.cuda.resources import Resources
from edge_sdk.runtime.cuda.stream import Event, Graph, Stream
from edge_sdk.runtime.letterbox import fit
from edge_sdk.runtime.postprocess import output_shapes, raw_threshold

INPUT = (640, 640)
BATCH = 16
SIZES = [(720, 1280), (1080, 1920), (1440, 2304)]
CASES = [(pixels, size, "uint8") for size in SIZES for pixels in ("bgr", "nv12")] + [
    ("bgr", (1080, 1920), "float16"), ("yuyv", (1080, 1920), "uint8"),
]  # fmt: skip
GOAL = 0.7
SECTOR = 32
MEMORY = 400 << 20
"""Bytes that the batches take together: several times the cache of any GPU."""
COPIED = 1 << 29
LAUNCHES, ROUNDS = 24, 30


def run() -> dict[str, Any]:
    """Measure, each case in turn."""
    context = Context.open()
    resources = Resources(context)
    try:
        with context:
            bench = _Bench(resources)
            bandwidth = bench.bandwidth(COPIED)
            rows = [bench.letterbox(*case, bandwidth) for case in CASES]
            least = min(row["of bandwidth"] for row in rows)
            rows += [bench.detections(batch) for batch in (1, BATCH)]
            after = bench.bandwidth(COPIED)
    finally:
        resources.close()
    remarks = [
        f"A copy on the device moves {bandwidth / 1e9:.0f} GB/s, reading and writing "
        f"({after / 1e9:.0f} at the end).",
        f"The letterbox reaches {least:.0%} of that at least (goal {GOAL:.0%}), in one launch.",
    ]
    return {"rows": rows, "remarks": remarks}


class _Bench:
    """Measures on one stream of the current context."""

    def __init__(self, resources: Resources) -> None:
        self._keep = resources.keep
        self._stream = self._keep(Stream())
        self._start, self._end = (self._keep(Event(timing=True)) for _ in range(2))
        self._random = np.random.default_rng(0)

    def bandwidth(self, size: int, sets: int = 1) -> float:
        """Return bytes a second of copies of `size` bytes on the device, both ways counted."""
        buffers = [DeviceBuffer(size) for _ in range(2 * sets)]

        def one(source: DeviceBuffer, target: DeviceBuffer) -> Callable[[], object]:
            ends = (target.address, source.address, size, self._stream.handle)
            return lambda: call("cuMemcpyDtoDAsync", *ends)

        seconds = self._seconds([one(*buffers[i : i + 2]) for i in range(0, 2 * sets, 2)])
        for buffer in buffers:
            buffer.close()
        return 2 * size / seconds

    def letterbox(
        self, pixels: str, size: tuple[int, int], dtype: str, bandwidth: float
    ) -> dict[str, Any]:
        """Time batches of one kind of frame."""
        wants = Preprocessing()
        kernel = CudaLetterbox(wants, INPUT, dtype)
        row = size[1] * {"bgr": 3, "yuyv": 2}.get(pixels, 1)
        held = row * size[0] * 3 // (2 if pixels == "nv12" else 3)
        out = BATCH * 3 * INPUT[0] * INPUT[1] * np.dtype(dtype).itemsize
        sets = max(2, MEMORY // (BATCH * held + out))
        content = self._random.integers(0, 256, held, np.uint8)
        memory = [[self._put(content) for _ in range(BATCH)] for _ in range(sets)]
        outs = [DeviceBuffer(out) for _ in range(sets)]

        def one(frames: Sequence[DeviceBuffer], target: DeviceBuffer) -> Callable[[], object]:
            described = [DeviceFrame(frame.address, *size, row, pixels) for frame in frames]
            return lambda: kernel(described, target.address, self._stream.handle)

        seconds = self._seconds([one(*pair) for pair in zip(memory, outs, strict=True)])
        for buffer in (*outs, *(frame for frames in memory for frame in frames)):
            buffer.close()
        kernel.close()
        touched = BATCH * touched_bytes(wants, INPUT, size, pixels) + out
        return {
            "what": f"letterbox {pixels} {size[1]} x {size[0]} -> {dtype}, batch {BATCH}",
            "microseconds": round(1e6 * seconds, 2), "megabytes": round(touched / 1e6, 1),
            "GB/s": round(touched / seconds / 1e9),
            "of bandwidth": round(touched / seconds / bandwidth, 3),
            "of a copy of as many bytes": round(
                touched / seconds / self.bandwidth(touched // 2, sets), 3
            ),
        }  # fmt: skip

    def detections(self, batch: int) -> dict[str, Any]:
        """Time the way from the raw outputs of YOLO-NAS to detections; some 100 candidates."""
        spec = HeadSpec(
            "yolo_nas", "dfl", tuple(map(str, range(80))), "image", INPUT,
            {"classes": ("c8", "c16", "c32"), "distances": ("d8", "d16", "d32")},
        )  # fmt: skip
        outputs = [
            self._put(self._random.normal(-7, 1.6, (batch, *shape)).astype(np.float16))
            for shape in output_shapes(spec)
        ]
        count, most = 1000, 300
        boxes, scores, labels = (DeviceBuffer(batch * count * size) for size in (16, 4, 4))
        places = self._put(np.array([[1.0, 0, 0, *INPUT]] * batch, np.float32))
        least = self._put(np.array([raw_threshold(spec, 0.25), 0.0], np.float32))
        results = DeviceBuffer(4 * batch * (4 + 6 * most))
        choose = CudaCandidates(spec, batch, np.float16, count, True)
        suppress = CudaSuppression(batch, count, 0.7, False, most, True)
        given = (boxes.address, scores.address, labels.address)

        def work() -> None:
            raw = [output.address for output in outputs]
            choose(raw, least.address, *given, self._stream.handle)
            passed = (least.address + 4, places.address, results.address)
            suppress(*given, *passed, self._stream.handle)

        seconds = self._seconds([work])
        for held in (*outputs, boxes, scores, labels, places, least, results, choose, suppress):
            held.close()
        return {
            "what": f"{spec.num_anchors} anchors x 80 classes to detections, batch {batch}",
            "microseconds": round(1e6 * seconds, 2),
        }  # fmt: skip

    def _put(self, array: np.ndarray) -> DeviceBuffer:
        buffer = DeviceBuffer(array.nbytes)
        call("cuMemcpyHtoD", buffer.address, array.ctypes.data, array.nbytes)
        return buffer

    def _seconds(self, works: Sequence[Callable[[], object]]) -> float:
        """Return the median time of one piece of work, over graphs of all of them in turn."""
        turns = max(1, LAUNCHES // len(works))

        def everything() -> None:
            for _ in range(turns):
                for work in works:
                    work()

        everything()
        self._stream.synchronize()
        graph = Graph.capture(self._stream, everything)

        def launch() -> None:
            graph.launch(self._stream)
            self._stream.synchronize()

        settle(launch)
        times = []
        for _ in range(ROUNDS):
            self._start.record(self._stream)
            graph.launch(self._stream)
            self._end.record(self._stream)
            self._stream.synchronize()
            times.append(self._end.milliseconds_since(self._start))
        graph.close()
        return float(np.median(times)) / 1e3 / (turns * len(works))


def touched_bytes(
    wants: Preprocessing, input_size: tuple[int, int], size: tuple[int, int], pixels: str
) -> int:
    """Return the bytes of a frame's sectors in which samples lie, rows side by side in memory."""
    height, width = size
    _, rows, columns = fit(wants, input_size, size)
    across, down = _sampled(columns, width), _sampled(rows, height)
    if pixels == "nv12":
        planes = [
            (across, down, 1, width),
            (np.unique(across // 2), np.unique(down // 2), 2, width),
        ]
    elif pixels == "yuyv":
        planes = [(np.unique(across // 2), down, 4, 2 * width)]
    else:
        planes = [(across, down, 3, 3 * width)]
    sectors = 0
    for units, lines, unit, pitch in planes:
        begins = units * unit + np.arange(unit)[:, None]
        sectors += sum(len(np.unique((line * pitch + begins) // SECTOR)) for line in lines)
    return SECTOR * sectors


def _sampled(count: int, size: int) -> np.ndarray:
    """Return which of `size` pixels a row of `count` samples, with half-pixel centres, reads."""
    position = (2 * np.arange(count) + 1) * size - count
    before = np.clip(position // (2 * count), 0, size - 1)
    both = (position % (2 * count) != 0) & (position > 0) & (before < size - 1)
    return np.unique(np.concatenate([before, before[both] + 1]))
