"""The float model in ONNX Runtime, with every point that may be quantized as an output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edge_sdk.calibration.observers import Histogram
from edge_sdk.errors import EdgeError, MissingExtra
from edge_sdk.head_spec import HeadSpec
from edge_sdk.runtime.letterbox import Letterbox

if TYPE_CHECKING:
    import onnx
    import onnxruntime


class ObservedModel:
    """Counts the activations of one picture at a time; memory is that of one forward pass.

    Parameters
    ----------
    model : the float graph.
    spec : its input and preprocessing.
    histograms : tensor name -> where its values are counted. A tensor may be the graph's input.

    Raises
    ------
    EdgeError
        If ONNX Runtime cannot run the model, or the model takes only batches of several images.
    """

    def __init__(
        self, model: onnx.ModelProto, spec: HeadSpec, histograms: Mapping[str, Histogram]
    ) -> None:
        self._histograms = histograms
        self._input_name = spec.input_name
        self._batch = np.empty((1, 3, *spec.input_size), np.float32)
        self._letterbox = Letterbox(spec.preprocessing, spec.input_size)
        self._points = [name for name in histograms if name != spec.input_name]
        self._session = _session(_exposed(model, self._points))
        batch = self._session.get_inputs()[0].shape[0]
        if isinstance(batch, int) and batch != 1:
            raise EdgeError(
                f"The model takes batches of {batch} images only: export it with a batch of 1 or "
                "a dynamic batch, calibrate that, and fix the batch later."
            )

    def observe(self, image: npt.NDArray[np.uint8], name: str) -> None:
        """Run the model on a BGR picture [h, w, 3] and count every tensor's values.

        Raises
        ------
        EdgeError
            If a tensor holds NaN or infinite values; it names the tensor and the picture `name`.
        """
        self._letterbox(image, self._batch[0])
        for tensor, values in self._activations():
            try:
                self._histograms[tensor].add(values)
            except ValueError as error:
                raise EdgeError(
                    f"The tensor {tensor!r} has {error} on {name}: the float model is not sound "
                    "there, check it before quantizing it."
                ) from error

    def _activations(self) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
        if self._input_name in self._histograms:
            yield self._input_name, self._batch
        outputs = self._session.run(self._points, {self._input_name: self._batch})
        for tensor in reversed(self._points):
            yield tensor, outputs.pop()  # each array is freed as soon as it is counted


def _exposed(model: onnx.ModelProto, tensors: list[str]) -> bytes:
    """Return the serialized model with `tensors` among its outputs."""
    import onnx

    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    present = {output.name for output in exposed.graph.output}
    exposed.graph.output.extend(
        onnx.helper.make_tensor_value_info(tensor, onnx.TensorProto.FLOAT, None)
        for tensor in tensors
        if tensor not in present
    )
    return bytes(exposed.SerializeToString())


def _session(model: bytes) -> onnxruntime.InferenceSession:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtra("onnxruntime", "convert", "Calibration") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.enable_mem_pattern = False  # it would hold room for all outputs twice
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own exceptions have no common base but this
        reason = str(error).splitlines()[0]
        raise EdgeError(f"ONNX Runtime cannot run the model ({reason}).") from error
