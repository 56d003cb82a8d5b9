"""A fake TensorRT and fake kernels over `fake_cuda`, for control flow only: no GPU is imitated.

An engine is JSON. Its network finds one object whose left side is the mean of the image, so that
a result tells which frame it is of.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import SimpleNamespace
from typing import Any

import numpy as np
from fake_cuda import FakeDriver

from edge_sdk.head_spec import CANDIDATE_OUTPUTS, HeadSpec
from edge_sdk.runtime.letterbox import Letterbox

CANDIDATES = 4
Network = Callable[[np.ndarray[Any, Any]], dict[str, np.ndarray[Any, Any]]]
_TYPES = {"FLOAT": np.float32, "HALF": np.float16, "UINT8": np.uint8, "INT32": np.int32}


class TensorIOMode(enum.Enum):
    INPUT = 1
    OUTPUT = 2


class LayerInformationFormat(enum.Enum):
    JSON = 1


class ILogger:
    ERROR, INTERNAL_ERROR, INFO = "error", "internal error", "info"

    def log(self, severity: str, message: str) -> None:
        raise NotImplementedError


class IProfiler:
    pass


def engine_bytes(spec: HeadSpec, batch: int = 1, raw: bool = False, **more: Any) -> bytes:
    """Return an engine: -1 as batch leaves it open, up to 8."""
    image = [spec.input_name, "UINT8", [batch, 3, *spec.input_size]]
    shapes = ([batch, CANDIDATES, 4], [batch, CANDIDATES], [batch, CANDIDATES])
    outputs = [
        [name, kind, shape]
        for name, kind, shape in zip(
            CANDIDATE_OUTPUTS, ("FLOAT", "FLOAT", "INT32"), shapes, strict=True
        )
    ]
    if raw:
        outputs = [[name, "HALF", [batch, 1, 8]] for name in spec.output_names]
    return json.dumps({"inputs": [image], "outputs": outputs, **more}).encode()


class FakeTensorrt:
    """Stands for the module tensorrt.

    Attributes
    ----------
    complaint : what it says of an engine that it refuses.
    network : images -> outputs by name, in the place of the network that finds one object.
    """

    __name__ = "tensorrt"
    __version__ = "10.3.0"
    __spec__ = ModuleSpec("tensorrt", None)
    TensorIOMode = TensorIOMode
    LayerInformationFormat = LayerInformationFormat
    ILogger = ILogger
    IProfiler = IProfiler

    def __init__(self, cuda: FakeDriver) -> None:
        self.cuda = cuda
        self.complaint = ""
        self.start_error = ""
        self.capturable = True
        self.network: Network | None = None
        self.profile_layers: list[tuple[str, float]] = []
        self.host_code_allowed: list[bool] = []
        self.context_settings: list[Any] = []
        self.contexts = 0

    def Runtime(self, logger: ILogger) -> FakeRuntime:
        if self.start_error:
            logger.log(ILogger.ERROR, self.start_error)
        return FakeRuntime(self, logger)


class FakeRuntime:
    engine_host_code_allowed = False

    def __init__(self, trt: FakeTensorrt, logger: ILogger) -> None:
        self.trt, self.logger = trt, logger

    def deserialize_cuda_engine(self, content: bytes) -> FakeEngine | None:
        assert self.trt.cuda.stack(), "no context is current"
        self.trt.host_code_allowed.append(self.engine_host_code_allowed)
        if self.trt.complaint:
            self.logger.log(ILogger.INFO, "not an error")
            self.logger.log(ILogger.ERROR, self.trt.complaint)
            self.logger.log(ILogger.ERROR, "Engine deserialization failed.")
            return None
        return FakeEngine(self.trt, self.logger, json.loads(content))


class FakeEngine:
    def __init__(self, trt: FakeTensorrt, logger: ILogger, content: dict[str, Any]) -> None:
        self.trt, self.logger, self.content = trt, logger, content
        tensors = [*content["inputs"], *content["outputs"]]
        self.tensors = {name: (kind, tuple(shape)) for name, kind, shape in tensors}
        self.num_io_tensors = len(tensors)

    def get_tensor_name(self, number: int) -> str:
        return list(self.tensors)[number]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        is_input = name in [one[0] for one in self.content["inputs"]]
        return TensorIOMode.INPUT if is_input else TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> Any:
        return SimpleNamespace(name=self.tensors[name][0])

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.tensors[name][1]

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[tuple[int, ...]]:
        shape = self.tensors[name][1]
        return [(size, *shape[1:]) for size in (1, 1, 8)]

    def create_runtime_config(self) -> Any:
        return SimpleNamespace()

    def create_execution_context(self, settings: Any = None) -> FakeExecutionContext | None:
        self.trt.context_settings.append(settings)
        if self.trt.complaint:
            self.logger.log(ILogger.ERROR, self.trt.complaint)
            return None
        return FakeExecutionContext(self)

    def create_engine_inspector(self) -> Any:
        layers = json.dumps({"Layers": self.content.get("layers", [])})
        return SimpleNamespace(get_engine_information=lambda form: layers)


class FakeExecutionContext:
    profiler: Any = None

    def __init__(self, engine: FakeEngine) -> None:
        self.engine, self.trt = engine, engine.trt
        self.addresses: dict[str, int] = {}
        self.batch = 0
        self.trt.contexts += 1

    def __del__(self) -> None:
        assert self.trt.cuda.stack(), "no context is current"
        self.trt.contexts -= 1

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        declared = self.engine.tensors[name][1]
        self.batch = shape[0]
        return shape[0] <= 8 if declared[0] == -1 else shape == declared

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (self.batch, *self.engine.tensors[name][1][1:])

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return address != 0

    def execute_async_v3(self, stream: int) -> bool:
        assert set(self.addresses) == set(self.engine.tensors)
        if self.trt.complaint:
            self.engine.logger.log(ILogger.ERROR, self.trt.complaint)
            return False
        self.trt.cuda.put(stream, "engine", self._run)
        if not self.trt.capturable:
            self.trt.cuda.break_capture(stream)
        for name, ms in self.trt.profile_layers if self.profiler is not None else ():
            self.profiler.report_layer_time(name, ms)
        return True

    def _tensor(self, name: str) -> np.ndarray[Any, Any]:
        kind = _TYPES[self.engine.tensors[name][0]]
        return self.trt.cuda.array(self.addresses[name], self.get_tensor_shape(name), kind)

    def _run(self) -> None:
        image = self._tensor(self.engine.content["inputs"][0][0])
        seen = image.reshape(self.batch, -1).mean(axis=1)
        if self.trt.network is not None:
            for name, value in self.trt.network(image).items():
                self._tensor(name)[...] = value
            return
        if CANDIDATE_OUTPUTS[0] not in self.addresses:
            for name, *_ in self.engine.content["outputs"]:
                self._tensor(name)[...] = seen[:, None, None]
            return
        boxes, scores, labels = map(self._tensor, CANDIDATE_OUTPUTS)
        boxes[...], labels[...] = 0, 1
        boxes[:, 0, 0], boxes[:, 0, 2:] = seen, 300
        scores[...] = -1
        scores[:, 0] = 0.9


class FakeSuppression:
    """Keeps the first candidate, and moves its left side to the frame."""

    live = 0

    def __init__(self, cuda: FakeDriver, *arguments: Any) -> None:
        self.cuda = cuda
        (self.batch, self.candidates, _, _, self.most, _) = arguments
        FakeSuppression.live += 1

    def __call__(
        self, boxes: int, scores: int, labels: int, least: int, places: int, results: int,
        stream: int,
    ) -> None:  # fmt: skip
        def run() -> None:
            words = self.cuda.array(results, (1, 4 + 6 * self.most), np.int32)[0]
            first = self.cuda.array(boxes, (1, self.candidates, 4), np.float32)[0, 0]
            score = self.cuda.array(scores, (1, self.candidates), np.float32)[0, 0]
            scale, left, _, width, height = self.cuda.array(places, (5,), np.float32)
            words[0] = int(score >= self.cuda.array(least, (1,), np.float32)[0])
            words[4:8].view(np.float32)[:] = [(first[0] - left) / scale, 0, width, height]
            words[4 + 4 * self.most :].view(np.float32)[0] = score
            words[4 + 5 * self.most] = self.cuda.array(labels, (1,), np.int32)[0]

        self.cuda.put(stream, "suppression", run)

    def close(self) -> None:
        FakeSuppression.live -= 1


class FakeCandidates:
    """The first value of the first raw output becomes the left side of one box."""

    def __init__(self, cuda: FakeDriver, spec: HeadSpec, *arguments: Any) -> None:
        self.cuda = cuda
        _, self.dtype, self.count, _ = arguments

    def __call__(
        self, outputs: list[int], least: int, boxes: int, scores: int, labels: int, stream: int
    ) -> None:
        def run() -> None:
            left = self.cuda.array(outputs[0], (1,), self.dtype)[0]
            self.cuda.array(boxes, (4,), np.float32)[:] = [left, 0, 300, 300]
            self.cuda.array(scores, (self.count,), np.float32)[:] = [0.9] + [-1] * (self.count - 1)
            self.cuda.array(labels, (self.count,), np.int32)[:] = 1

        self.cuda.put(stream, "candidates", run)

    def close(self) -> None:
        pass


class FakeLetterbox:
    """Letterboxes on the CPU, when the stream comes to it."""

    def __init__(self, cuda: FakeDriver, preprocessing: Any, size: Any, dtype: Any) -> None:
        self.cuda, self.size, self.dtype = cuda, size, dtype
        self.letterbox = Letterbox(preprocessing, size)

    def __call__(self, frames: list[Any], out: int, stream: int) -> list[Any]:
        (frame,) = frames

        def run() -> None:
            rows = self.cuda.array(frame.address, (frame.height, frame.pitch), np.uint8)
            image = rows[:, : 3 * frame.width].reshape(frame.height, frame.width, 3)
            self.letterbox(image, self.cuda.array(out, (3, *self.size), self.dtype))

        self.cuda.put(stream, "letterbox", run)
        return [self.letterbox.placement((frame.height, frame.width))]

    def close(self) -> None:
        pass
