"""ONNX Runtime on the CPU: the default engine where OpenVINO is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from edge_sdk.head_spec import METADATA_KEY, HeadSpec
from edge_sdk.runtime.backends.engine import (
    Array,
    Engine,
    Worker,
    cannot_load,
    check_input,
    check_outputs,
    missing_spec,
)

_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
}


def open_engine(path: Path, spec: HeadSpec | None, threads: int | None, parallel: int) -> Engine:
    """Create a session; see `edge_sdk.runtime.backends.open_engine`."""
    try:
        session = onnxruntime.InferenceSession(
            str(path), _options(threads), providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # its exceptions share no base class of their own
        raise cannot_load(path, "ONNX Runtime", error) from error
    return OnnxRuntimeEngine(session, path, spec or _read_spec(path, session), threads, parallel)


class OnnxRuntimeEngine(Engine):
    """One session; a worker is one binding of it to buffers."""

    target = "onnxruntime"

    def __init__(
        self, session: Any, path: Path, spec: HeadSpec, threads: int | None, parallel: int
    ) -> None:
        batch = check_input(path, spec, {i.name: _dimensions(i) for i in session.get_inputs()})
        check_outputs(path, spec, {output.name for output in session.get_outputs()})
        dtype = np.dtype(_TYPES.get(session.get_inputs()[0].type, np.object_))
        super().__init__(path, spec, dtype, batch, threads, parallel)
        self._session = session

    def _worker(self, batch: int) -> Worker:
        return _OnnxRuntimeWorker(
            self._session, self.spec, np.zeros((batch, 3, *self.spec.input_size), self.input_dtype)
        )

    def _close(self) -> None:
        self._session = None


class _OnnxRuntimeWorker:
    def __init__(self, session: Any, spec: HeadSpec, image: Array) -> None:
        self.input = image
        self._session = session
        # A first run tells the shapes of the outputs, which the file need not.
        self._outputs = session.run(spec.output_names, {spec.input_name: image})
        self._binding = session.io_binding()
        _bind(self._binding.bind_input, spec.input_name, image)
        for name, output in zip(spec.output_names, self._outputs, strict=True):
            _bind(self._binding.bind_output, name, output)

    def __call__(self) -> list[npt.NDArray[np.float32]]:
        self._session.run_with_iobinding(self._binding)
        return [np.asarray(output, np.float32) for output in self._outputs]


def _bind(bind: Any, name: str, array: Array) -> None:
    """Let the session read or write the array itself."""
    bind(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)


def _options(threads: int | None) -> Any:
    """Latency of one image; idle threads sleep, for they share the cores with the cameras."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if threads is not None:
        options.intra_op_num_threads = threads
    return options


def _dimensions(value: Any) -> list[int | None]:
    return [size if isinstance(size, int) else None for size in value.shape]


def _read_spec(path: Path, session: Any) -> HeadSpec:
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise missing_spec(path)
    return HeadSpec.from_json(text)
