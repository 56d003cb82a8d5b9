"""OpenVINO on the CPU: the default engine on x86-64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino

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
from edge_sdk.runtime.backends.signal_stack import kept_signal_stack


def open_engine(path: Path, spec: HeadSpec | None, threads: int | None, parallel: int) -> Engine:
    """Read and compile a model; see `edge_sdk.runtime.backends.open_engine`."""
    core = openvino.Core()
    try:
        model = core.read_model(path)
    except RuntimeError as error:
        raise cannot_load(path, "OpenVINO", error) from error
    return OpenVinoEngine(core, model, path, spec or _read_spec(path, model), threads, parallel)


def compile_model(core: Any, model: Any, options: dict[str, Any]) -> Any:
    """Return a model compiled for the CPU."""
    with kept_signal_stack():
        return core.compile_model(model, "CPU", options)


class OpenVinoEngine(Engine):
    """One compiled model; a worker is one of its inference requests."""

    target = "openvino"

    def __init__(
        self, core: Any, model: Any, path: Path, spec: HeadSpec, threads: int | None, parallel: int
    ) -> None:
        batch = check_input(path, spec, {p.any_name: _dimensions(p) for p in model.inputs})
        check_outputs(path, spec, {name for port in model.outputs for name in port.get_names()})
        super().__init__(
            path, spec, model.input().element_type.to_dtype(), batch, threads, parallel
        )
        try:
            model.reshape({spec.input_name: [batch or -1, 3, *spec.input_size]})
            self._compiled = compile_model(core, model, _options(threads, parallel))
        except RuntimeError as error:
            raise cannot_load(path, "OpenVINO", error) from error

    def _worker(self, batch: int) -> Worker:
        shape = (batch, 3, *self.spec.input_size)
        return _OpenVinoWorker(
            self._compiled, self.spec.output_names, np.zeros(shape, self.input_dtype)
        )

    def _close(self) -> None:
        self._compiled = None


class _OpenVinoWorker:
    def __init__(self, compiled: Any, outputs: tuple[str, ...], image: Array) -> None:
        self.input = image
        self._request = compiled.create_infer_request()
        # The request reads `image` itself: no copy on the way in.
        self._request.set_input_tensor(openvino.Tensor(image, shared_memory=True))
        self._ports = [compiled.output(name) for name in outputs]
        self()

    def __call__(self) -> list[npt.NDArray[np.float32]]:
        self._request.start_async()
        self._request.wait()
        return [np.asarray(self._request.get_tensor(port).data, np.float32) for port in self._ports]


def _options(threads: int | None, parallel: int) -> dict[str, Any]:
    """Latency of one image; float parts in float32, where the CPU would take bfloat16."""
    options: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    if parallel > 1:
        options["NUM_STREAMS"] = parallel
    if threads is not None:
        options["INFERENCE_NUM_THREADS"] = threads * parallel
    return options


def _dimensions(port: Any) -> list[int | None]:
    return [None if size.is_dynamic else size.get_length() for size in port.partial_shape]


def _read_spec(path: Path, model: Any) -> HeadSpec:
    """OpenVINO's ONNX reader keeps a file's metadata under "framework"."""
    where = ["framework", METADATA_KEY]
    if not model.has_rt_info(where):
        raise missing_spec(path)
    return HeadSpec.from_json(model.get_rt_info(where).astype(str))
