"""From a frame to its detections on the GPU, with one copy of a few kilobytes back.

    frame of the host   letterbox on the CPU into pinned memory, 1.2 MB to the GPU for 640 x 640
    frame on the GPU    letterbox there, nothing is copied
        then, as one CUDA graph: the engine, the best candidates where the engine gives raw
        outputs, suppression, and the copy of at most `max_detections` boxes to the host.

Frames of the host are not uploaded whole, since reading them for the letterbox takes the CPU no
longer than copying them would: 0.16 ms for 1920 x 1080, of whose 6.2 MB a fifth crosses the bus.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

import numpy as np

from edge_sdk.detections import Detections
from edge_sdk.head_spec import CANDIDATE_OUTPUTS, HeadSpec
from edge_sdk.runtime.backends.tensorrt_execution import Execution
from edge_sdk.runtime.backends.tensorrt_plan import Plan
from edge_sdk.runtime.chain import StageTimes, host_image
from edge_sdk.runtime.cuda.frame import DeviceFrame, check_device, device_frame
from edge_sdk.runtime.cuda.kernels.candidates import MOST, CudaCandidates
from edge_sdk.runtime.cuda.kernels.letterbox import CudaLetterbox
from edge_sdk.runtime.cuda.kernels.suppression import CudaSuppression
from edge_sdk.runtime.cuda.memory import DeviceBuffer, PairedBuffer
from edge_sdk.runtime.cuda.replay import Replay
from edge_sdk.runtime.cuda.resources import Resources
from edge_sdk.runtime.cuda.stream import Stream
from edge_sdk.runtime.letterbox import Letterbox, Placement
from edge_sdk.runtime.postprocess import raw_threshold

_PLACE = 5  # words of where a frame lies; two thresholds follow
_HEADER = 4  # words before the boxes of a result: the count, and three of no meaning


def result_bytes(max_detections: int) -> int:
    """Return how many bytes of a frame's result leave the GPU."""
    return 4 * (_HEADER + 6 * max_detections)


class TensorrtChain:
    """A stream, an execution and buffers of its own: see `Chain`.

    Parameters
    ----------
    plan : the engine.
    spec : the contract, with the names of the classes.
    settings : of `Postprocessor`.
    letterbox : for frames of the host.
    """

    def __init__(
        self, plan: Plan, spec: HeadSpec, settings: Mapping[str, Any], letterbox: Letterbox
    ) -> None:
        self._plan = plan
        self._spec = spec
        self._settings = settings
        self._letterbox = letterbox
        self._most = int(settings["max_detections"])
        self._chosen = set(plan.outputs) == set(CANDIDATE_OUTPUTS)  # candidates, by the engine
        self._resources = Resources(plan.context)
        weakref.finalize(self, self._resources.close)
        self._on_gpu: CudaLetterbox | None = None
        with plan.context:
            self._stream = self._resources.keep(Stream())
            self._execution = Execution(plan, 1, self._resources)
            image = plan.inputs[spec.input_name]
            self._input = self._paired((1, *image.shape[1:]), image.dtype)
            self._execution.bind(spec.input_name, self._input.address)
            self._frame = self._paired((_PLACE + 2,), np.float32)
            self._frame.array[:_PLACE] = (1, 0, 0, 1, 1)  # until there is one
            self._results = self._paired((1, _HEADER + 6 * self._most), np.int32)
            self._outputs = {name: self._output(name) for name in plan.outputs}
            self._replay = Replay(self._stream, self._work(), self._resources)

    def __call__(self, frame: Any, score: float) -> tuple[Detections, StageTimes]:
        """See `Chain`; an array on the GPU, or a `DeviceFrame`, is used where it lies."""
        with self._plan.context:
            start = perf_counter()
            there = device_frame(frame, self._stream)
            if there is None:
                image = host_image(frame)
                placement = self._letterbox(image, self._input.array[0])
                self._input.upload(self._stream)
                height, width = image.shape[:2]
            else:
                placement = self._place_on_gpu(there)
                height, width = there.height, there.width
            place = (placement.scale, placement.left, placement.top, width, height)
            self._frame.array[...] = (*place, *self._thresholds(score))
            placed = perf_counter()
            self._replay()
            self._stream.synchronize()
            inferred = perf_counter()
        found = self._read()
        return found, StageTimes(placed - start, inferred - placed, perf_counter() - inferred)

    def _place_on_gpu(self, frame: DeviceFrame) -> Placement:
        check_device(frame, self._plan.context.device)
        if self._on_gpu is None:
            dtype = self._plan.inputs[self._spec.input_name].dtype
            self._on_gpu = self._resources.keep(
                CudaLetterbox(self._spec.preprocessing, self._spec.input_size, dtype)
            )
        return self._on_gpu([frame], self._input.address, self._stream.handle)[0]

    def _thresholds(self, score: float) -> tuple[float, float]:
        """Return what raw scores must reach, and then what candidates must."""
        least = score if self._chosen else 0.0  # below 0 are places without a candidate
        return raw_threshold(self._spec, score), least

    def _work(self) -> Callable[[], None]:
        """Return the work from the network's input to the result."""
        keep, settings = self._resources.keep, self._settings
        stream, execution = self._stream, self._execution
        frame, results, outputs = self._frame, self._results, self._outputs
        raw_least, least = (frame.address + 4 * (_PLACE + place) for place in range(2))
        choose: Callable[[], None] | None = None
        if self._chosen:
            boxes, scores, labels = (outputs[name].address for name in CANDIDATE_OUTPUTS)
            count = execution.shapes[CANDIDATE_OUTPUTS[1]][1]
        else:
            count = min(settings["max_candidates"], MOST)
            boxes, scores, labels = (
                keep(DeviceBuffer(size * count)).address for size in (16, 4, 4)
            )
            names = self._spec.output_names
            kind = self._plan.outputs[names[0]].dtype
            multi_label = settings["multi_label"]
            candidates = keep(CudaCandidates(self._spec, 1, kind, count, multi_label))
            raw = [outputs[name].address for name in names]

            def choose() -> None:
                candidates(raw, raw_least, boxes, scores, labels, stream.handle)

        suppression = keep(
            CudaSuppression(
                1,
                count,
                settings["iou"],
                settings["class_agnostic"],
                self._most,
                settings["multi_label"],
            )
        )

        def work() -> None:
            frame.upload(stream)
            execution.enqueue(stream)
            if choose is not None:
                choose()
            suppression(boxes, scores, labels, least, frame.address, results.address, stream.handle)
            results.download(stream)

        return work

    def _read(self) -> Detections:
        """Return the detections in the result's words, as copies."""
        words, most = self._results.array[0], self._most
        count = int(words[0])
        boxes, scores, labels = np.split(words[_HEADER:], (4 * most, 5 * most))
        return Detections(
            boxes.view(np.float32).reshape(most, 4)[:count].copy(),
            scores.view(np.float32)[:count].copy(),
            labels[:count].copy(),
            self._spec.class_names,
        )

    def _paired(self, shape: tuple[int, ...], dtype: Any) -> PairedBuffer:
        return self._resources.keep(PairedBuffer(shape, dtype, self._plan.context.integrated))

    def _output(self, name: str) -> DeviceBuffer:
        size = int(np.prod(self._execution.shapes[name])) * self._plan.outputs[name].dtype.itemsize
        buffer = self._resources.keep(DeviceBuffer(size))
        self._execution.bind(name, buffer.address)
        return buffer
