"""ONNX operators of detectors, as functions on torch tensors.

`operator(node, index)` reads a node's attributes and constant settings once and returns what
remains to be done with its tensors. Feature maps may be of any batch size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import onnx
import torch
from torch import Tensor
from torch.nn import functional

from edge_sdk.converters.graph_index import GraphIndex, attribute
from edge_sdk.errors import EdgeError

Operator: TypeAlias = Callable[..., Tensor | tuple[Tensor, ...]]
"""Takes the node's tensors in the order of its inputs, those that are settings left out."""

_Maker: TypeAlias = Callable[[onnx.NodeProto, GraphIndex], Operator]


def operator(node: onnx.NodeProto, index: GraphIndex) -> Operator:
    """Return the function of a node.

    Raises
    ------
    EdgeError
        If there is none for its operator or its settings.
    """
    if node.op_type in _PLAIN:
        return _PLAIN[node.op_type]
    if node.op_type not in _MAKERS:
        raise EdgeError(
            f"The layer {node.name!r} is a {node.op_type}, which the sensitivity analysis and "
            "quantization-aware training cannot run."
        )
    return _MAKERS[node.op_type](node, index)


def tensor_inputs(node: onnx.NodeProto) -> list[str]:
    """Return the inputs that an operator takes as tensors; the others are settings."""
    if node.op_type in _SETTINGS:
        return list(node.input[:1])
    return [name for name in node.input if name]


def _conv(node: onnx.NodeProto, index: GraphIndex) -> Operator:
    top, left, bottom, right = _pads(node)
    strides, dilations = _pair(node, "strides"), _pair(node, "dilations")
    groups = attribute(node, "group", 1)
    even = (top, left) == (bottom, right)

    def run(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        if not even:
            x = functional.pad(x, (left, right, top, bottom))
        padding = (top, left) if even else (0, 0)
        return functional.conv2d(x, weight, bias, strides, padding, dilations, groups)

    return run


def _conv_transpose(node: onnx.NodeProto, index: GraphIndex) -> Operator:
    top, left, bottom, right = _pads(node)
    if (top, left) != (bottom, right) or attribute(node, "output_shape", None):
        raise _unsupported(node, "padding")
    strides, dilations = _pair(node, "strides"), _pair(node, "dilations")
    more = tuple(attribute(node, "output_padding", (0, 0)))
    groups = attribute(node, "group", 1)

    def run(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return functional.conv_transpose2d(
            x, weight, bias, strides, (top, left), more, groups, dilations
        )

    return run


def _max_pool(node: onnx.NodeProto, index: GraphIndex) -> Operator:
    top, left, bottom, right = _pads(node)
    kernel = tuple(attribute(node, "kernel_shape", ()))
    strides, dilations = _pair(node, "strides"), _pair(node, "dilations")
    ceil = bool(attribute(node, "ceil_mode", 0))
    even = (top, left) == (bottom, right)

    def run(x: Tensor) -> Tensor:
        if not even:
            x = functional.pad(x, (left, right, top, bottom), value=-torch.inf)
        padding = (top, left) if even else (0, 0)
        return functional.max_pool2d(x, kernel, strides, padding, dilations, ceil)

    return run


def _average_pool(node: onnx.NodeProto, index: GraphIndex) -> Operator:
    top, left, bottom, right = _pads(node)
    if (top, left) != (bottom, right):
        raise _unsupported(node, "padding")
    kernel, strides = tuple(attribute(node, "kernel_shape", ())), _pair(node, "strides")
    ceil = bool(attribute(node, "ceil_mode", 0))
    counted = bool(attribute(node, "count_include_pad", 0))

    def run(x: Tensor) -> Tensor:
        return functional.avg_pool2d(x, kernel, strides, (top, left), ceil, counted)

    return run


def _resize(node: onnx.NodeProto, index: GraphIndex) -> Operator:
    scales = _setting(node, 2, index)
    mode = attribute(node, "coordinate_transformation_mode", "half_pixel")
    factors = [int(scale) for scale in scales or ()]
    # Nearest neighbours at whole factors: all other modes of rounding agree there.
    sound = (
        factors[:2] == [1, 1]
        and factors == scales
        and attribute(node, "mode", "nearest") == "nearest"
        and mode in ("asymmetric", "half_pixel", "pytorch_half_pixel")
    )
    if not sound:
        raise _unsupported(node, "way of resizing")
    down, across = factors[2:]

    def run(x: Tensor) -> Tensor:
        size = (x.shape[2] * down, x.shape[3] * across)
        return functional.interpolate(x, size, mode="nearest")

    return run


def _slice(node: onnx.NodeProto, index: GraphIndex) -> Operator:
    starts, ends = _setting(node, 1, index) or [], _setting(node, 2, index) or []
    axes = _setting(node, 3, index) or list(range(len(starts)))
    steps = _setting(node, 4, index) or [1] * len(starts)
    if min(steps) < 1:
        raise _unsupported(node, "step")
    cuts = dict(zip(axes, map(slice, starts, ends, steps), strict=True))

    def run(x: Tensor) -> Tensor:
        return x[tuple(cuts.get(axis, cuts.get(axis - x.ndim, slice(None))) for axis in _axes(x))]

    return run


def _split(node: onnx.NodeProto, index: GraphIndex) -> Operator:
    axis = attribute(node, "axis", 0)
    sizes = _setting(node, 1, index)
    parts = len(node.output)

    def run(x: Tensor) -> tuple[Tensor, ...]:
        return torch.split(x, sizes or -(-x.shape[axis] // parts), axis)

    return run


def _reshape(node: onnx.NodeProto, index: GraphIndex) -> Operator:
    shape = _setting(node, 1, index)
    if shape is None or attribute(node, "allowzero", 0):
        raise _unsupported(node, "shape")
    # A graph for one image says 1 where it means the batch.
    batch = len(shape) > 1 and shape[0] == 1

    def run(x: Tensor) -> Tensor:
        sides = [x.shape[i] if side == 0 else side for i, side in enumerate(shape)]
        return x.reshape([len(x), *sides[1:]] if batch else sides)

    return run


def _transpose(node: onnx.NodeProto, index: GraphIndex) -> Operator:
    order = attribute(node, "perm", None)
    return lambda x: x.permute(order or list(reversed(_axes(x))))


def _concat(node: onnx.NodeProto, index: GraphIndex) -> Operator:
    axis = attribute(node, "axis", 1)
    return lambda *parts: torch.cat(parts, axis)


def _softmax(node: onnx.NodeProto, index: GraphIndex) -> Operator:
    axis = attribute(node, "axis", -1)
    return lambda x: x.softmax(axis)


def _leaky_relu(node: onnx.NodeProto, index: GraphIndex) -> Operator:
    slope = attribute(node, "alpha", 0.01)
    return lambda x: functional.leaky_relu(x, slope)


def _clip(node: onnx.NodeProto, index: GraphIndex) -> Operator:
    low, high = (index.scalar(name) if name else None for name in [*node.input[1:3], "", ""][:2])
    return lambda x: x.clamp(low, high)


def _unsqueeze(node: onnx.NodeProto, index: GraphIndex) -> Operator:
    axes = _setting(node, 1, index) or []

    def run(x: Tensor) -> Tensor:
        for axis in sorted(axes):
            x = x.unsqueeze(axis)
        return x

    return run


def _squeeze(node: onnx.NodeProto, index: GraphIndex) -> Operator:
    axes = _setting(node, 1, index)
    return lambda x: x.squeeze(axes) if axes else x.squeeze()


def _flatten(node: onnx.NodeProto, index: GraphIndex) -> Operator:
    axis = attribute(node, "axis", 1)
    return lambda x: x.flatten(0, axis - 1).flatten(1) if axis > 1 else x.flatten(axis)


def _depth_to_space(node: onnx.NodeProto, index: GraphIndex) -> Operator:
    side, mode = attribute(node, "blocksize", 2), attribute(node, "mode", "DCR")

    def run(x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        if mode == "CRD":
            return functional.pixel_shuffle(x, side)
        blocks = x.reshape(batch, side, side, channels // side**2, height, width)
        return blocks.permute(0, 3, 4, 1, 5, 2).reshape(
            batch, channels // side**2, height * side, width * side
        )

    return run


def _pads(node: onnx.NodeProto) -> tuple[int, int, int, int]:
    if attribute(node, "auto_pad", "NOTSET") != "NOTSET":
        raise _unsupported(node, "padding")
    pads = attribute(node, "pads", (0, 0, 0, 0))
    if len(pads) != 4:
        raise _unsupported(node, "number of dimensions")
    top, left, bottom, right = pads
    return top, left, bottom, right


def _pair(node: onnx.NodeProto, name: str) -> tuple[int, int]:
    down, across = attribute(node, name, (1, 1))
    return down, across


def _setting(node: onnx.NodeProto, position: int, index: GraphIndex) -> list[Any] | None:
    """Return the value of a constant input as a list, None where there is none."""
    if len(node.input) <= position or not node.input[position]:
        return None
    if not index.is_constant(node.input[position]):
        raise _unsupported(node, "computed setting")
    return list(index.value(node.input[position]).reshape(-1).tolist())


def _axes(x: Tensor) -> Sequence[int]:
    return range(x.ndim)


def _unsupported(node: onnx.NodeProto, what: str) -> EdgeError:
    return EdgeError(
        f"The {node.op_type} {node.name!r} has a {what} that the sensitivity analysis and "
        "quantization-aware training cannot run."
    )


_SETTINGS = frozenset({
    "Resize", "Slice", "Split", "Reshape", "Clip", "Squeeze", "Unsqueeze",
})  # fmt: skip

_PLAIN: dict[str, Operator] = {
    "Relu": torch.relu,
    "Sigmoid": torch.sigmoid,
    "HardSwish": functional.hardswish,
    "Exp": torch.exp,
    "Add": torch.add,
    "Sub": torch.sub,
    "Mul": torch.mul,
    "Div": torch.div,
    "MatMul": torch.matmul,
    "Identity": lambda x: x,
    "GlobalAveragePool": lambda x: x.mean((2, 3), keepdim=True),
}

_MAKERS: dict[str, _Maker] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "Resize": _resize,
    "Slice": _slice,
    "Split": _split,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Concat": _concat,
    "Softmax": _softmax,
    "LeakyRelu": _leaky_relu,
    "Clip": _clip,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Flatten": _flatten,
    "DepthToSpace": _depth_to_space,
}
