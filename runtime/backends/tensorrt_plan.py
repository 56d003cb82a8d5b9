"""Opening an engine of TensorRT or TensorRT-RTX, which share one interface.

One code path for TensorRT 10.3 to 11 and TensorRT-RTX: named tensors, nothing that either has
marked as deprecated. Their libraries hand out null objects where something is wrong and say why
in their log only; so after every step the answer is looked at, and the log is made a sentence.
"""

from __future__ import annotations

import importlib
import re
import weakref
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from edge_sdk.errors import EdgeError, MissingExtra
from edge_sdk.runtime.cuda.context import Context
from edge_sdk.runtime.cuda.resources import Held, Resources
from edge_sdk.runtime.cuda.stream import SETUP

_TYPES = {
    "FLOAT": np.float32, "HALF": np.float16, "INT8": np.int8, "UINT8": np.uint8,
    "INT32": np.int32, "INT64": np.int64, "BOOL": np.bool_,
}  # fmt: skip

_MEMORY = re.compile(r"out of memory|OutOfMemory|MemoryAllocation", re.IGNORECASE)
_HOST_CODE = re.compile(r"host.?code|lean runtime|libnvinfer_lean", re.IGNORECASE)
_OTHER = re.compile(
    r"incompatible|not compatible|expecting (library|compute)|different (model|device|version)"
    r"|version (tag|mismatch)|older version|newer version",
    re.IGNORECASE,
)
_DAMAGED = re.compile(
    r"magic|header|blob|truncat|corrupt|checksum|unexpected end|trailing|serializ", re.IGNORECASE
)


@dataclass(frozen=True)
class Tensor:
    """An input or output of an engine; -1 stands for a dimension that is open."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class Plan:
    """An engine in the GPU's memory.

    Attributes
    ----------
    trt : the library.
    path : the file that it was read from.
    context : the GPU.
    inputs, outputs : by name.
    """

    def __init__(
        self, trt: ModuleType, path: Path, context: Context, log: PlanLog, engine: Any
    ) -> None:
        self.trt = trt
        self.path = path
        self.context = context
        self._log = log
        resources = Resources(context)
        self._engine = resources.keep(Held(engine))
        weakref.finalize(self, resources.close)
        self.inputs: dict[str, Tensor] = {}
        self.outputs: dict[str, Tensor] = {}
        for number in range(engine.num_io_tensors):
            name = engine.get_tensor_name(number)
            is_input = engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
            tensors = self.inputs if is_input else self.outputs
            tensors[name] = Tensor(name, tuple(engine.get_tensor_shape(name)), self._dtype(name))

    @classmethod
    def open(cls, path: Path, target: str, context: Context) -> Plan:
        """Read an engine; the GPU's context must be current.

        Raises
        ------
        EdgeError
            If it is of another version or GPU, damaged, or too large for the GPU's memory.
        MissingExtra
            If the library is not installed.
        """
        trt = _library(target)
        log = PlanLog(trt)
        runtime = trt.Runtime(log.logger)
        if log.errors:  # then it is a null object, whose use crashes
            raise EdgeError(
                f"{_named(trt)} does not start on this machine ({log.reason()}): install the "
                "driver that it asks for, or the version of it for this driver."
            )
        runtime.engine_host_code_allowed = False
        with SETUP:
            engine = runtime.deserialize_cuda_engine(path.read_bytes())
        if engine is None:
            raise _refusal(trt, path, target, context, log)
        return cls(trt, path, context, log, engine)

    def _dtype(self, name: str) -> np.dtype[Any]:
        engine = self._engine.value
        kind = engine.get_tensor_dtype(name).name
        if kind not in _TYPES:
            raise EdgeError(f"{self.path} has a tensor {name!r} of {kind}, which is not supported.")
        return np.dtype(_TYPES[kind])

    def batches(self, name: str) -> tuple[int, int]:
        """Return the smallest and the largest batch that an open input takes."""
        engine = self._engine.value
        least, _, most = map(tuple, engine.get_tensor_profile_shape(name, 0))
        return int(least[0]), int(most[0])

    def execution_context(self) -> Any:
        """Return a new place to run in, with memory of its own for what lies between layers.

        Raises
        ------
        EdgeError
            If the GPU has too little memory.
        """
        engine = self._engine.value
        with SETUP:
            made = engine.create_execution_context(*self._settings())
        if made is None:
            if _MEMORY.search(self._log.text()):
                raise _too_large(self.path, self.context)
            raise self.error("cannot be made ready")
        return made

    def _settings(self) -> list[Any]:
        """Return what an execution context is made with.

        TensorRT-RTX compiles kernels for the shapes of an open batch: unless told otherwise beside
        the first runs, which others do meanwhile. Those would stay in a captured graph for good.
        """
        strategy = getattr(self.trt, "DynamicShapesKernelSpecializationStrategy", None)
        if strategy is None:
            return []
        engine = self._engine.value
        settings = engine.create_runtime_config()
        settings.dynamic_shapes_kernel_specialization_strategy = strategy.EAGER
        return [settings]

    def layers(self) -> str:
        """Return what the engine's inspector says of its layers, as JSON."""
        engine = self._engine.value
        inspector = engine.create_engine_inspector()
        text: str = inspector.get_engine_information(self.trt.LayerInformationFormat.JSON)
        return text

    def error(self, what: str) -> EdgeError:
        """Return an error about this engine, with the library's reason."""
        return EdgeError(f"{self.path} {what}: {self._log.reason()}.")


class PlanLog:
    """The errors that a library tells.

    Attributes
    ----------
    logger : to give to the library.
    errors : the last few.
    """

    def __init__(self, trt: ModuleType) -> None:
        self.errors: deque[str] = deque(maxlen=8)
        errors = self.errors

        class Logger(trt.ILogger):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                trt.ILogger.__init__(self)

            def log(self, severity: Any, message: str) -> None:
                if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                    errors.append(" ".join(message.split()))

        self.logger = Logger()

    def text(self) -> str:
        """Return all errors."""
        return " ".join(self.errors)

    def reason(self, which: int = -1) -> str:
        """Return an error, the last one unless told otherwise, shortened."""
        text = self.errors[which].rstrip(".") if self.errors else "the library says no reason"
        return text if len(text) <= 300 else f"{text[:300]} ..."


def _library(target: str) -> ModuleType:
    name = target.partition(":")[0]
    try:
        return importlib.import_module(name.replace("-", "_"))
    except (ImportError, OSError) as error:
        raise MissingExtra(name, name, f"The target {target!r}") from error


def _refusal(trt: ModuleType, path: Path, target: str, context: Context, log: PlanLog) -> EdgeError:
    """Return why an engine was not read; of the errors the first tells, the last only that."""
    text, reason = log.text(), log.reason(0)
    if _MEMORY.search(text):
        return _too_large(path, context)
    if _HOST_CODE.search(text):
        return EdgeError(
            f"{path} carries host code, which is not let run: build it without version "
            f"compatibility ({reason})."
        )
    if _OTHER.search(text):
        wanted = f"tensorrt-rtx:{context.capability}" if "rtx" in target else "tensorrt"
        return EdgeError(
            f"{path.name} was built for {_built_for(path)}, and here are GPU {context.device} "
            f"({context.capability}) and {_named(trt)}: rebuild it with 'edge-sdk compile BUNDLE "
            f"--target {wanted}' ({reason})."
        )
    if not text or _DAMAGED.search(reason):
        return EdgeError(
            f"{path} is damaged or cut short, or no engine of {_named(trt)}: copy or build it "
            f"again ({reason})."
        )
    return EdgeError(f"{_named(trt)} cannot load {path}: {reason}.")


def _built_for(path: Path) -> str:
    """Return what the name of an engine tells: DEVICE_LIBRARY_DIGEST.engine."""
    parts = path.stem.rsplit("_", 2)
    return f"{parts[0]} with {parts[1]}" if len(parts) == 3 else "another GPU or version"


def _named(trt: ModuleType) -> str:
    return f"{trt.__name__.replace('_', '-')} {trt.__version__}"


def _too_large(path: Path, context: Context) -> EdgeError:
    free, total = (size >> 20 for size in context.free_memory())
    return EdgeError(
        f"GPU {context.device} has too little memory for {path}: {free} of {total} MiB are free; "
        "end other programs that use it, or take fewer inferences at a time."
    )
