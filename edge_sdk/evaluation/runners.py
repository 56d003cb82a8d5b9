"""Polygraphy runners of the CPU engines; OpenVINO's is ours, since Polygraphy has none."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from polygraphy.backend.base import BaseRunner
from polygraphy.common import TensorMetadata

from edge_sdk.errors import EdgeError, MissingExtra
from edge_sdk.runtime.backends import installed


def runner(model: onnx.ModelProto, target: str, threads: int | None) -> BaseRunner:
    """Return a runner of a model, to be used as a context manager.

    Raises
    ------
    EdgeError
        If the target is none that runs here.
    MissingExtra
        If its package is not installed.
    """
    if target not in _RUNNERS:
        raise EdgeError(f"Unknown target {target!r}: give one of {', '.join(_RUNNERS)}.")
    if not installed(target):
        raise MissingExtra(target, target, f"The target {target!r}")
    return _RUNNERS[target](model.SerializeToString(), threads)


class OpenVinoRunner(BaseRunner):  # type: ignore[misc]
    """Runs an ONNX model in OpenVINO on the CPU, in the precisions that the file says."""

    def __init__(self, model: bytes, threads: int | None) -> None:
        super().__init__(name="openvino")
        self._model = model
        self._threads = threads

    def activate_impl(self) -> None:
        """Compile the model."""
        import openvino

        from edge_sdk.runtime.backends.openvino import compile_model

        settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
        if self._threads:
            settings["INFERENCE_NUM_THREADS"] = self._threads
        core = openvino.Core()
        self.compiled = compile_model(core, core.read_model(self._model), settings)

    def get_input_metadata_impl(self) -> TensorMetadata:
        """Return the inputs' names, types and shapes."""
        metadata = TensorMetadata()
        for port in self.compiled.inputs:
            shape = [None if dim.is_dynamic else dim.get_length() for dim in port.partial_shape]
            dtype = np.dtype(port.element_type.to_dtype())
            metadata.add(port.any_name, dtype=dtype, shape=shape)
        return metadata

    def infer_impl(self, feed_dict: Mapping[str, npt.NDArray[Any]]) -> dict[str, Any]:
        """Return the outputs by name; they are copies."""
        results = self.compiled(dict(feed_dict), share_inputs=True, share_outputs=False)
        return OrderedDict(
            (name, value) for port, value in results.items() for name in port.get_names()
        )

    def deactivate_impl(self) -> None:
        """Let go of the compiled model."""
        del self.compiled


def _onnxruntime(model: bytes, threads: int | None) -> BaseRunner:
    from polygraphy.backend.onnxrt import OnnxrtRunner

    def session() -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])

    return OnnxrtRunner(session, name="onnxruntime")


_RUNNERS = {"openvino": OpenVinoRunner, "onnxruntime": _onnxruntime}
