"""Running ONNX graphs to compare them: in float64 with numpy, in float32 with ONNX Runtime.

ONNX Runtime has no float64 convolution, and the reference evaluator of the onnx package takes
minutes for a detector; here the operators that cost time are a few matrix products, and that
evaluator does the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from edge_sdk.converters.affine import Affine
from edge_sdk.errors import EdgeError

Tensor = npt.NDArray[Any]
Visitor = Callable[[str, Tensor], None]


def run_float32(
    model: onnx.ModelProto, feeds: Mapping[str, Tensor], outputs: Sequence[str] | None = None
) -> dict[str, Tensor]:
    """Return the outputs of a model as ONNX Runtime computes them without optimizations.

    Raises
    ------
    EdgeError
        If ONNX Runtime refuses the model or the input.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        wanted = list(outputs or (value.name for value in session.get_outputs()))
        return dict(zip(wanted, session.run(wanted, dict(feeds)), strict=True))
    except Exception as error:  # its exceptions have no common base of their own
        reason = str(error).strip().splitlines()[0]
        raise EdgeError(f"ONNX Runtime cannot run the model: {reason}") from error


def run_float64(
    model: onnx.ModelProto, feeds: Mapping[str, Tensor], visit: Visitor | None = None
) -> dict[str, Tensor]:
    """Return the outputs of a model with every float tensor in float64.

    Parameters
    ----------
    model : with float32 or float64 weights, also mixed.
    feeds : input name -> array.
    visit : called with every tensor as it is computed, inputs first.
    """
    graph = model.graph
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    weights = {tensor.name: tensor for tensor in graph.initializer}
    wanted = [value.name for value in graph.output]
    uses = Counter(name for node in graph.node for name in node.input)
    uses.update(wanted)
    values = {name: _double(value) for name, value in feeds.items()}

    def visiting(name: str, value: Tensor) -> None:
        values[name] = value
        if visit is not None:
            visit(name, value)

    for name, value in list(values.items()):
        visiting(name, value)
    for node in graph.node:
        inputs = []
        for name in node.input:
            if name in weights:
                inputs.append(_double(numpy_helper.to_array(weights[name])))
                continue
            inputs.append(values[name] if name else None)
            uses[name] -= 1
            if not uses[name] and name:
                del values[name]
        for name, value in zip(node.output, _run_node(node, inputs, opsets), strict=False):
            if name:
                visiting(name, value)
    return {name: values[name] for name in wanted}


def convolve(x: Tensor, conv: Affine) -> Tensor:
    """Return a convolution of x [B, Cin, H, W] in x's own type, as one matrix product."""
    top, left, bottom, right = conv.pads
    (sv, sh), (dv, dh), groups = conv.strides, conv.dilations, conv.groups
    cout, per_group, kh, kw = conv.kernel.shape
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    extent = (dv * (kh - 1) + 1, dh * (kw - 1) + 1)
    windows = np.lib.stride_tricks.sliding_window_view(x, extent, axis=(2, 3))
    windows = windows[:, :, ::sv, ::sh, ::dv, ::dh].transpose(0, 1, 4, 5, 2, 3)
    batch, height, width = len(x), *windows.shape[4:]
    columns = windows.reshape(batch, groups, per_group * kh * kw, height * width)
    kernel = conv.kernel.astype(x.dtype).reshape(groups, cout // groups, per_group * kh * kw)
    y: Tensor = (kernel @ columns).reshape(batch, cout, height, width)
    y += conv.bias.astype(x.dtype)[:, None, None]
    return y


def affine_conv(attributes: Mapping[str, Any], weight: Tensor, bias: Tensor | None) -> Affine:
    """Return the weights and attributes of a two-dimensional Conv as a map."""
    kernel = np.asarray(weight, np.float64)
    top, left, bottom, right = attributes.get("pads") or (0, 0, 0, 0)
    sv, sh = attributes.get("strides") or (1, 1)
    dv, dh = attributes.get("dilations") or (1, 1)
    return Affine(
        kernel,
        np.zeros(len(kernel)) if bias is None else np.asarray(bias, np.float64),
        attributes.get("group", 1),
        (sv, sh),
        (dv, dh),
        (top, left, bottom, right),
    )


def _run_node(node: onnx.NodeProto, inputs: list[Any], opsets: dict[str, int]) -> list[Tensor]:
    attributes = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
    plain = attributes.get("auto_pad", b"NOTSET") == b"NOTSET"
    if node.op_type == "Conv" and plain and inputs[1].ndim == 4:
        return [convolve(inputs[0], affine_conv(attributes, *[*inputs[1:], None][:2]))]
    if node.op_type == "ConvTranspose" and plain and _tiles(attributes, inputs[1]):
        return [_upsample(*inputs)]
    if node.op_type == "MaxPool" and plain and len(node.output) == 1 and _dense(attributes):
        return [_max_pool(inputs[0], attributes)]
    if node.op_type == "Cast" and attributes["to"] == onnx.TensorProto.FLOAT:
        return [inputs[0].astype(np.float64)]
    feeds = {name: value for name, value in zip(node.input, inputs, strict=True) if name}
    results: Any = ReferenceEvaluator(node, opsets=opsets).run(None, feeds)
    return [_double(value) for value in results]


def _tiles(attributes: Mapping[str, Any], weight: Tensor) -> bool:
    """Whether a transposed convolution writes every output pixel once."""
    return (
        tuple(attributes.get("strides") or ()) == weight.shape[2:]
        and not any(attributes.get("pads") or ())
        and not any(attributes.get("output_padding") or ())
        and attributes.get("group", 1) == 1
        and set(attributes.get("dilations") or (1,)) == {1}
    )


def _upsample(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    kh, kw = weight.shape[2:]
    y: Tensor = np.einsum("bchw,coij->bohiwj", x, weight, optimize=True)
    y = y.reshape(*y.shape[:2], x.shape[2] * kh, x.shape[3] * kw)
    if bias is not None:
        y = y + bias[:, None, None]
    return y


def _dense(attributes: Mapping[str, Any]) -> bool:
    return not attributes.get("ceil_mode") and set(attributes.get("dilations") or (1,)) == {1}


def _max_pool(x: Tensor, attributes: Mapping[str, Any]) -> Tensor:
    top, left, bottom, right = attributes.get("pads") or (0, 0, 0, 0)
    sv, sh = attributes.get("strides") or (1, 1)
    pads = ((0, 0), (0, 0), (top, bottom), (left, right))
    x = np.pad(x, pads, constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(
        x, tuple(attributes["kernel_shape"]), axis=(2, 3)
    )
    y: Tensor = windows[:, :, ::sv, ::sh].max(axis=(4, 5))
    return y


def _double(value: Any) -> Any:
    """Return float arrays as float64, all else as it is."""
    if isinstance(value, np.ndarray) and value.dtype in (np.float16, np.float32):
        return value.astype(np.float64)
    return value
