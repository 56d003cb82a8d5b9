"""Which tensors of a float graph a target may quantize, their sign, and what must agree.

A *weighted layer* is a convolution with constant weights that computes features; the fixed
convolution that takes the expectation of a distribution in a decoder is none. A tensor is a
*quantization point* if something on the way to a weighted layer reads it that can work on
integers: a weighted layer itself, an Add, a Concat, a pooling, or an operator that only moves
values. So the tensors between a convolution and its activation are no points, nor is anything
behind the prediction convolutions.

The sign comes from the graph. A lower bound is carried through it: 0 behind ReLU and sigmoid,
-0.2785 behind SiLU (the minimum of x * sigmoid(x)), the sum of the operands' bounds behind an
Add, the smallest one behind a Concat, -inf behind a convolution. Calibration minima play no
part: a tensor may go below zero tomorrow that did not in the calibration images.

A *depthwise* convolution keeps channels apart, so each channel of its input may have a range of
its own: the scale of a channel goes into the scale of its weights, and nothing is left to do.
That holds if nothing else reads the tensor's integers, and if nothing that works on integers
makes it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import onnx

from edge_sdk.converters.graph_index import GraphIndex, attribute
from edge_sdk.head_spec import METADATA_KEY, HeadSpec

WEIGHTED = frozenset({"Conv", "ConvTranspose"})
MOVING = frozenset({
    "MaxPool", "Resize", "Slice", "Split", "Transpose", "Reshape", "Squeeze", "Unsqueeze",
    "Flatten", "Identity", "DepthToSpace", "SpaceToDepth",
})  # fmt: skip
"""Operators whose output values are input values: they commute with quantization."""
INTEGER = WEIGHTED | MOVING | {"Add", "Concat", "AveragePool", "GlobalAveragePool"}
_SILU_MINIMUM = -0.27846455
_HARD_SWISH_MINIMUM = -0.375
_NON_NEGATIVE = frozenset({"Relu", "Sigmoid", "HardSigmoid", "Softmax", "Abs", "Exp"})
_AVERAGING = frozenset({"AveragePool", "GlobalAveragePool"})
_MANY_INPUTS = frozenset({"Add", "Sub", "Mul", "Div", "Min", "Max", "Concat", "Sum", "MatMul"})


@dataclass(frozen=True)
class QuantizationPoints:
    """What calibration observes and the lowerings choose from.

    Attributes
    ----------
    activations : tensor name -> whether it is signed; every tensor that any target may
        quantize, in the order of the graph.
    scale_groups : tensors that must share one scale and one sign (what a pooling or a moving
        operator reads and makes); each tensor is in one group at most.
    weights : initializer name -> axis of its output channels.
    lower_bounds : tensor name -> the least value that the graph allows, -inf where it
        allows any.
    channels : tensor name -> its number of channels, where each may have a range of its own.
    """

    activations: dict[str, bool]
    scale_groups: list[tuple[str, ...]]
    weights: dict[str, int]
    lower_bounds: dict[str, float]
    channels: dict[str, int]


def quantization_points(model: onnx.ModelProto) -> QuantizationPoints:
    """Find the quantization points of a float model."""
    index = GraphIndex(model.graph)
    leading = leading_nodes(index)
    bounds = _lower_bounds(model, index)
    tensors = [
        name
        for name in _activations(index)
        if _integer_readers(name, index, leading) and not is_rescaled(name, index)
    ]
    groups = _scale_groups(index, tensors)
    for group in groups:
        lowest = min(bounds[name] for name in group)
        bounds.update(dict.fromkeys(group, lowest))
    return QuantizationPoints(
        activations={name: bounds[name] < 0 for name in tensors},
        scale_groups=groups,
        weights={
            node.input[1]: 0 if node.op_type == "Conv" else 1 for node in weighted_layers(index)
        },
        lower_bounds={name: bounds[name] for name in tensors},
        channels={
            name: index.shape(index.consumers[name][0].input[1])[0]
            for name in tensors
            if _keeps_channels_apart(name, index, leading)
        },
    )


def weighted_layers(index: GraphIndex) -> list[onnx.NodeProto]:
    """Return the convolutions that compute features, in the order of the graph."""
    return [node for node in index.graph.node if is_weighted_layer(node, index)]


def is_weighted_layer(node: onnx.NodeProto, index: GraphIndex) -> bool:
    """Tell whether a node is a convolution with constant weights outside the decoder."""
    return (
        node.op_type in WEIGHTED
        and index.is_constant(node.input[1])
        and not _reads_distribution(node, index)
    )


def leading_nodes(index: GraphIndex) -> set[str]:
    """Return the nodes on a way to a weighted layer, those layers included, by first output."""
    leading: set[str] = set()
    for node in reversed(index.graph.node):
        if is_weighted_layer(node, index) or any(
            reader.output[0] in leading and name in data_inputs(reader)
            for name in node.output
            for reader in index.consumers[name]
        ):
            leading.add(node.output[0])
    return leading


def data_inputs(node: onnx.NodeProto) -> list[str]:
    """Return the inputs that carry features, not weights, shapes or settings."""
    return list(node.input) if node.op_type in _MANY_INPUTS else list(node.input[:1])


def is_rescaled(name: str, index: GraphIndex) -> bool:
    """Tell whether a tensor is another one times a positive constant number.

    Its integers are those of the other tensor; the factor goes into the scale.
    """
    node = index.producers.get(name)
    return node is not None and rescaling(node, index) is not None


def rescaling(node: onnx.NodeProto, index: GraphIndex) -> tuple[str, float] | None:
    """Return (tensor, factor) of a node that multiplies a tensor by a positive number."""
    if node.op_type != "Mul":
        return None
    for name, factor_name in (tuple(node.input), tuple(reversed(node.input))):
        factor = index.scalar(factor_name)
        if factor is not None and factor > 0 and not index.is_constant(name):
            return name, factor
    return None


def silu_input(node: onnx.NodeProto, index: GraphIndex) -> str | None:
    """Return x of a node that makes x * sigmoid(x), else None."""
    if node.op_type != "Mul":
        return None
    for x, gate_name in (tuple(node.input), tuple(reversed(node.input))):
        gate = index.producers.get(gate_name)
        if gate is not None and gate.op_type == "Sigmoid" and gate.input[0] == x:
            return str(x)
    return None


def _reads(node: onnx.NodeProto, name: str, index: GraphIndex) -> bool:
    """Tell whether a node can read a tensor as integers."""
    if node.op_type == "Resize":
        return bool(node.input[0] == name and attribute(node, "mode", "nearest") == "nearest")
    if node.op_type == "Add":
        return not any(map(index.is_constant, node.input))
    if node.op_type == "Concat":
        return True
    if node.op_type in WEIGHTED:
        return is_weighted_layer(node, index) and node.input[0] == name
    return rescaling(node, index) is not None or (node.op_type in INTEGER and node.input[0] == name)


def _integer_readers(name: str, index: GraphIndex, leading: set[str]) -> list[onnx.NodeProto]:
    """Return the nodes on a way to a weighted layer that can read a tensor as integers."""
    return [
        node
        for node in index.consumers[name]
        if node.output[0] in leading and _reads(node, name, index)
    ]


def _keeps_channels_apart(name: str, index: GraphIndex, leading: set[str]) -> bool:
    """Tell whether only depthwise convolutions touch the integers of a tensor."""
    producer = index.producers.get(name)
    if producer is None or (producer.op_type in INTEGER and producer.op_type not in WEIGHTED):
        return False
    return all(is_depthwise(node, index) for node in _integer_readers(name, index, leading))


def is_depthwise(node: onnx.NodeProto, index: GraphIndex) -> bool:
    """Tell whether a node is a convolution that makes each channel of the same one of its input."""
    if node.op_type != "Conv" or not index.is_constant(node.input[1]):
        return False
    outputs, inputs = index.shape(node.input[1])[:2]
    return outputs > 1 and inputs == 1 and bool(attribute(node, "group", 1) == outputs)


def _activations(index: GraphIndex) -> Iterable[str]:
    for tensor in index.graph.input:
        if not index.is_constant(tensor.name):
            yield tensor.name
    for node in index.graph.node:
        yield from (name for name in node.output if name in index.producers)


def _reads_distribution(node: onnx.NodeProto, index: GraphIndex) -> bool:
    """Tell whether a node's input is a softmax, but for its shape."""
    source = index.producers.get(node.input[0])
    while source is not None and source.op_type in ("Transpose", "Reshape"):
        source = index.producers.get(source.input[0])
    return source is not None and source.op_type == "Softmax"


def _scale_groups(index: GraphIndex, tensors: list[str]) -> list[tuple[str, ...]]:
    """Join what moving operators read and make; return the groups of two and more."""
    group_of = {name: [name] for name in tensors}
    for node in index.graph.node:
        if node.op_type not in MOVING or node.input[0] not in group_of:
            continue
        group = group_of[node.input[0]]
        for name in node.output:
            other = group_of.get(name)
            if other is not None and other is not group:
                group.extend(other)
                group_of.update(dict.fromkeys(other, group))
    groups = {id(group): tuple(group) for group in group_of.values() if len(group) > 1}
    return list(groups.values())


def _lower_bounds(model: onnx.ModelProto, index: GraphIndex) -> dict[str, float]:
    """Return the least value that the graph allows, for every tensor that is no constant."""
    bounds = {tensor.name: _input_bound(model) for tensor in model.graph.input}
    for node in model.graph.node:
        bound = _bound(node, bounds, index)
        bounds.update(dict.fromkeys(node.output, bound))
    return bounds


def _input_bound(model: onnx.ModelProto) -> float:
    """Pixels are not negative: neither is the input of a model that says what it takes."""
    for entry in model.metadata_props:
        if entry.key == METADATA_KEY:
            return 0.0 if HeadSpec.from_json(entry.value).preprocessing.scale >= 0 else -math.inf
    return -math.inf


def _bound(node: onnx.NodeProto, bounds: dict[str, float], index: GraphIndex) -> float:
    def of(name: str) -> float:
        if index.is_constant(name):
            value = index.value(name)
            return float(np.min(value)) if value.size and value.dtype.kind == "f" else -math.inf
        return bounds.get(name, -math.inf)

    kind = node.op_type
    if kind in _NON_NEGATIVE:
        return 0.0
    if kind == "HardSwish":
        return _HARD_SWISH_MINIMUM
    if kind == "Clip":
        least = index.scalar(node.input[1]) if len(node.input) > 1 and node.input[1] else None
        return of(node.input[0]) if least is None else max(least, of(node.input[0]))
    if kind == "Mul":
        return _product_bound(node, of(node.input[0]), of(node.input[1]), index)
    if kind == "Add":
        return of(node.input[0]) + of(node.input[1])
    if kind == "Concat":
        return min(map(of, node.input))
    if kind in _AVERAGING:
        return min(of(node.input[0]), 0.0)
    if kind == "Resize" and attribute(node, "mode", "nearest") == "cubic":
        return -math.inf
    return of(node.input[0]) if kind in MOVING else -math.inf


def _product_bound(node: onnx.NodeProto, a: float, b: float, index: GraphIndex) -> float:
    if silu_input(node, index) is not None:
        return _SILU_MINIMUM
    scaled = rescaling(node, index)
    if scaled is not None:
        return scaled[1] * (a if node.input[0] == scaled[0] else b)
    return 0.0 if a >= 0 and b >= 0 else -math.inf
