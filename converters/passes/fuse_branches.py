"""Fuse every sum of linear branches of one tensor, batch normalizations included, into one Conv.

Each tensor that is an affine map of another one, y = K * x + b, is written as that map
(`edge_sdk.converters.affine`), from the input to the outputs:

    Conv(x)                  K, b
    BatchNormalization(y)    s K, s b + t      (of x itself: the diagonal s, then t)
    Mul(y, constant)         c K, c b
    Add(y, z)                K_y + K_z         (z: another map of x, x itself, or an average
                                               pool of x)

A map goes on through its only consumer. Where it can go no further, a single convolution takes
the place of all its nodes. This covers Conv + BN, RepVGG (BN on every branch), QARepVGG (no BN on
the side branches, one behind the sum, a factor alpha on the 1x1 branch), YOLOv6's variants
(average-pool branch), with groups and strides and whichever branches there are.

Exact in real numbers; computed in float64. The new weights are float64: the graph is cast once
all passes are through.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_graphsurgeon as gs

from edge_sdk.converters.affine import Affine
from edge_sdk.converters.passes.name_layers import LAYERS
from edge_sdk.converters.reference import affine_conv


@dataclass(frozen=True)
class Block:
    """What became one convolution.

    Attributes
    ----------
    layer : name of the convolution, and of its output unless that is one of the graph's.
    source, output : names of the tensors that it reads and replaces, in the original graph.
    conv : the convolution.
    nodes : names of the original nodes.
    """

    layer: str
    source: str
    output: str
    conv: Affine
    nodes: tuple[str, ...]


@dataclass(frozen=True)
class _Map:
    """A tensor as a map of `source`; `nodes` compute it."""

    conv: Affine
    source: gs.Tensor
    nodes: tuple[gs.Node, ...]

    @property
    def is_block(self) -> bool:
        return len(self.nodes) > 1 and any(node.op == "Conv" for node in self.nodes)


def fuse_branches(graph: gs.Graph) -> list[Block]:
    """Fuse all blocks in place; the graph's nodes must be named and sorted."""
    finder = _Finder(graph)
    maps = {name: found for name, found in finder.run().items() if found.is_block}
    blocks = []
    for name, found in maps.items():
        layer = _layer_name(graph, found)
        blocks.append(
            Block(layer, found.source.name, name, found.conv, tuple(n.name for n in found.nodes))
        )
        _replace(graph, layer, found)
    graph.cleanup().toposort()
    return blocks


class _Finder:
    """Walks a graph and keeps, of every chain of maps, the last."""

    def __init__(self, graph: gs.Graph) -> None:
        self.graph = graph
        self.outputs = {tensor.name for tensor in graph.outputs}
        self.maps: dict[str, _Map] = {}

    def run(self) -> dict[str, _Map]:
        """Return output tensor -> map."""
        for node in self.graph.nodes:
            found = self._map(node)
            if found is not None:
                for inner in found.nodes[:-1]:
                    self.maps.pop(inner.outputs[0].name, None)
                self.maps[node.outputs[0].name] = found
        return self.maps

    def _map(self, node: gs.Node) -> _Map | None:
        if node.op == "Conv":
            return _conv(node)
        if node.op == "BatchNormalization":
            return self._batch_norm(node)
        if node.op == "Mul":
            return self._mul(node)
        return self._add(node) if node.op == "Add" else None

    def _inner(self, tensor: gs.Tensor) -> _Map | None:
        """Return the map of a tensor that nothing else reads."""
        if len(tensor.outputs) != 1 or tensor.name in self.outputs:
            return None
        return self.maps.get(tensor.name)

    def _batch_norm(self, node: gs.Node) -> _Map | None:
        parameters = node.inputs[1:5]
        if len(node.outputs) > 1 or not all(isinstance(p, gs.Constant) for p in parameters):
            return None
        gamma, beta, mean, variance = (p.values.astype(np.float64) for p in parameters)
        source = node.inputs[0]
        before = self._inner(source) or _Map(Affine.identity(len(gamma)), source, ())
        eps = node.attrs.get("epsilon", 1e-5)
        conv = before.conv.then_batch_norm(gamma, beta, mean, variance, eps)
        return _Map(conv, before.source, (*before.nodes, node))

    def _mul(self, node: gs.Node) -> _Map | None:
        for tensor, factor in (node.inputs, node.inputs[::-1]):
            before = self._inner(tensor)
            if before is None or not isinstance(factor, gs.Constant):
                continue
            values = factor.values.astype(np.float64)
            channels = values.shape[-3:] == (before.conv.cout, 1, 1)
            if channels or values.size == 1:
                conv = before.conv.then(values.reshape(-1))
                return _Map(conv, before.source, (*before.nodes, node))
        return None

    def _add(self, node: gs.Node) -> _Map | None:
        for first, second in (node.inputs, node.inputs[::-1]):
            one = self._inner(first)
            other = one and self._branch(second, one)
            if one and other and one.conv.can_add(other.conv):
                return _Map(one.conv + other.conv, one.source, (*one.nodes, *other.nodes, node))
        return None

    def _branch(self, tensor: gs.Tensor, beside: _Map) -> _Map | None:
        """Return a tensor as a map of the source of the branch beside it."""
        if tensor is beside.source:
            return _Map(Affine.identity(beside.conv.cin), tensor, ())
        found = self._inner(tensor) or self._average(tensor, beside)
        return found if found and found.source is beside.source else None

    def _average(self, tensor: gs.Tensor, beside: _Map) -> _Map | None:
        if len(tensor.inputs) != 1 or tensor.inputs[0].op != "AveragePool":
            return None
        pool = tensor.inputs[0]
        attributes = pool.attrs
        size, strides = attributes["kernel_shape"], attributes.get("strides", [1, 1])
        plain = (
            len(tensor.outputs) == 1
            and attributes.get("count_include_pad", 0) == 1
            and not attributes.get("ceil_mode", 0)
            and size == [size[0]] * 2
            and strides == [strides[0]] * 2
            and attributes.get("pads") == [size[0] // 2] * 4
            and size[0] % 2 == 1
        )
        if not plain:
            return None
        conv = Affine.average(beside.conv.cin, size[0], strides[0])
        return _Map(conv, pool.inputs[0], (pool,))


def _conv(node: gs.Node) -> _Map | None:
    weights = node.inputs[1:]
    if not all(isinstance(weight, gs.Constant) for weight in weights):
        return None
    if node.attrs.get("auto_pad", "NOTSET") != "NOTSET" or weights[0].values.ndim != 4:
        return None
    bias = weights[1].values if len(weights) > 1 else None
    return _Map(affine_conv(node.attrs, weights[0].values, bias), node.inputs[0], (node,))


def _layer_name(graph: gs.Graph, found: _Map) -> str:
    """Return the path that all layers of a block share and no other has, else one of theirs."""
    paths = [node.name.split(".") for node in found.nodes if node.op in LAYERS]
    shared = []
    for parts in zip(*paths, strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    layer = ".".join(shared)
    inside = {id(node) for node in found.nodes}
    alone = layer and not any(
        node.name == layer or (node.op in LAYERS and node.name.startswith(f"{layer}."))
        for node in graph.nodes
        if id(node) not in inside
    )
    if alone:
        return layer
    convs = [node for node in found.nodes if node.op == "Conv"]
    return str(max(convs, key=lambda node: node.inputs[1].values.size).name)


def _replace(graph: gs.Graph, layer: str, found: _Map) -> None:
    conv = found.conv
    output = found.nodes[-1].outputs[0]
    for node in found.nodes:
        node.inputs.clear()
        node.outputs.clear()
    if output not in graph.outputs:
        output.name = layer
    graph.nodes.append(
        gs.Node(
            "Conv",
            layer,
            {
                "dilations": list(conv.dilations),
                "group": conv.groups,
                "kernel_shape": list(conv.kernel.shape[2:]),
                "pads": list(conv.pads),
                "strides": list(conv.strides),
            },
            [
                found.source,
                gs.Constant(f"{layer}.weight", conv.kernel),
                gs.Constant(f"{layer}.bias", conv.bias),
            ],
            [output],
        )
    )
