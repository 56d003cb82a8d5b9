"""Fold the learnt factors of residual chains into the convolutions beside them.

A chain of bottlenecks computes x[k+1] = a[k] x[k] + y[k], where y[k] = relu(cv2(cv1(x[k]))) and
x[0] = relu(conv1(...)). Store x[k] / c[k] in place of x[k], for any positive c:

    stored x[k+1] = (a[k] c[k] / c[k+1]) stored x[k] + y[k] / c[k+1]

With c[k+1] = a[k] c[k] the factor is 1 and the Mul goes. ReLU commutes with positive factors, so
y[k] / c[k+1] is cv2 with weights and bias divided by c[k+1], x[0] / c[0] is conv1 divided by c[0],
and whoever reads x[k] multiplies its weights (not its bias) by c[k]: cv1 as a whole, a convolution
behind a Concat in the columns that read x[k]. A factor that is not positive keeps its Mul, and c
starts anew behind it.

Exact in float, but not harmless in INT8: members of a Concat share the resolution, and a chain
that shrinks starves them. Therefore

* where only x[n] leaves the chain, c[n] = 1: no reader sees a difference;
* where x[0] ... x[n-1] are concatenated too, c[n] puts the stored ranges of the chain in the
  middle of the other members', and the chain is folded only if the ratio of the largest to the
  smallest range of the members grows by less than 1.25.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx_graphsurgeon as gs

MAX_GROWTH = 1.25


@dataclass(frozen=True)
class AlphaReport:
    """Names of the Mul nodes that went and that stay."""

    folded: tuple[str, ...]
    kept: tuple[str, ...]


@dataclass(frozen=True)
class _Link:
    """x[k+1] = alpha x[k] + y[k]."""

    mul: gs.Node
    add: gs.Node
    alpha: float
    cv2: gs.Node


@dataclass(frozen=True)
class _Chain:
    """Consecutive links behind conv1; `tensors` are x[0] ... x[n]."""

    conv1: gs.Node
    links: list[_Link]
    tensors: list[gs.Tensor]


def fold_alphas(graph: gs.Graph, ranges: Mapping[str, float]) -> AlphaReport:
    """Fold all factors that are safe to fold, in place.

    Parameters
    ----------
    graph : with fused, named convolutions, and with the shapes of its tensors.
    ranges : tensor -> largest magnitude on representative images, for the members of Concats;
        chains with a member that is missing here are kept.
    """
    links = [link for node in graph.nodes if (link := _link(node))]
    folded: list[str] = []
    for chain in _chains(links, {tensor.name for tensor in graph.outputs}):
        factors = _factors(chain, ranges)
        if factors is not None:
            folded += _rescale(chain, factors)
    graph.cleanup().toposort()
    every = [link.mul.name for link in links]
    return AlphaReport(tuple(folded), tuple(name for name in every if name not in folded))


def _link(add: gs.Node) -> _Link | None:
    """Return the link that ends in an Add, if it does."""
    if add.op != "Add":
        return None
    for scaled, branch in (add.inputs, add.inputs[::-1]):
        mul, cv2 = _producer(scaled, "Mul"), _relu_conv(branch)
        if mul is None or cv2 is None or len(scaled.outputs) != 1 or len(branch.outputs) != 1:
            continue
        for factor in mul.inputs:
            if isinstance(factor, gs.Constant) and factor.values.size == 1:
                return _Link(mul, add, float(factor.values.reshape(())), cv2)
    return None


def _skip(link: _Link) -> gs.Tensor:
    """Return x[k] of a link."""
    return next(t for t in link.mul.inputs if not isinstance(t, gs.Constant))


def _chains(links: list[_Link], outputs: set[str]) -> list[_Chain]:
    """Return the chains whose every reader can be rescaled."""
    by_input = {_skip(link).name: link for link in links}
    ends = {link.add.outputs[0].name for link in links}
    chains = []
    for start, link in by_input.items():
        conv1 = _relu_conv(_skip(link))
        if start in ends or conv1 is None:
            continue
        members, tensors = [link], [_skip(link), link.add.outputs[0]]
        while tensors[-1].name in by_input:
            members.append(by_input[tensors[-1].name])
            tensors.append(members[-1].add.outputs[0])
        muls = {id(member.mul) for member in members}
        readers = [reader for x in tensors[:-1] for reader in x.outputs if id(reader) not in muls]
        rescalable = all(_can_rescale(reader) for reader in readers)
        if rescalable and not outputs & {tensor.name for tensor in tensors}:
            chains.append(_Chain(conv1, members, tensors))
    return chains


def _factors(chain: _Chain, ranges: Mapping[str, float]) -> list[float] | None:
    """Return c[0] ... c[n], or None if the chain is to stay."""
    factors = [1.0]
    for link in reversed(chain.links):
        factors.insert(0, factors[0] / link.alpha if link.alpha > 0 else 1.0)
    concats = {
        id(reader): reader for x in chain.tensors[:-1] for reader in x.outputs
        if reader.op == "Concat"
    }  # fmt: skip
    if not concats:
        return factors
    last = chain.tensors[-1].outputs
    if len(concats) > 1 or not all(_can_rescale(reader) for reader in last):
        return None
    return _centred(chain, factors, next(iter(concats.values())), ranges)


def _centred(
    chain: _Chain, factors: list[float], concat: gs.Node, ranges: Mapping[str, float]
) -> list[float] | None:
    """Return factors with c[n] chosen for the Concat, or None if its members would drift."""
    scale = {tensor.name: factor for tensor, factor in zip(chain.tensors, factors, strict=True)}
    names = [tensor.name for tensor in concat.inputs]
    widths = [tensor.shape[1] if tensor.shape else None for tensor in concat.inputs]
    if not all(ranges.get(name, 0.0) > 0 for name in names) or None in widths:
        return None
    stored = [ranges[name] / scale[name] for name in names if name in scale]
    others = [ranges[name] for name in names if name not in scale]
    anchor = _middle(stored) / _middle(others) if others else 1.0
    before = [ranges[name] for name in names]
    after = [*(value / anchor for value in stored), *others]
    growth = (max(after) / min(after)) / (max(before) / min(before))
    return [factor * anchor for factor in factors] if growth < MAX_GROWTH else None


def _middle(values: list[float]) -> float:
    return math.sqrt(min(values) * max(values))


def _rescale(chain: _Chain, factors: list[float]) -> list[str]:
    """Store x[k] / c[k]; return the names of the factors that became 1 and went."""
    _scale(chain.conv1, 1.0 / factors[0], bias=True)
    for tensor, factor in zip(chain.tensors, factors, strict=True):
        for reader in list(tensor.outputs):
            if factor != 1.0 and reader.op in ("Conv", "Concat"):
                _scale_reader(reader, tensor, factor)
    folded = []
    for link, before, after in zip(chain.links, factors, factors[1:], strict=False):
        _scale(link.cv2, 1.0 / after, bias=True)
        if link.alpha > 0:
            place = link.add.inputs.index(link.mul.outputs[0])
            link.add.inputs[place] = _skip(link)
            folded.append(link.mul.name)
        else:
            place = next(i for i, t in enumerate(link.mul.inputs) if isinstance(t, gs.Constant))
            old = link.mul.inputs[place]
            link.mul.inputs[place] = gs.Constant(
                f"{link.mul.name}.factor", np.asarray(old.values * (before / after))
            )
    return folded


def _can_rescale(reader: gs.Node) -> bool:
    if reader.op == "Concat":
        behind = reader.outputs[0].outputs
        convs = [node for node in behind if node.op == "Conv" and _can_rescale(node)]
        dense = all(node.attrs.get("group", 1) == 1 for node in convs)
        return reader.attrs["axis"] == 1 and 0 < len(convs) == len(behind) and dense
    return bool(reader.op == "Conv") and isinstance(reader.inputs[1], gs.Constant)


def _scale_reader(reader: gs.Node, tensor: gs.Tensor, factor: float) -> None:
    """Let a convolution, or those behind a Concat, read `tensor` divided by `factor`."""
    if reader.op == "Conv":
        _scale(reader, factor)
        return
    first = 0
    for member in reader.inputs:
        width = member.shape[1]
        if member is tensor:
            for conv in reader.outputs[0].outputs:
                _scale(conv, factor, columns=slice(first, first + width))
        first += width


def _scale(
    conv: gs.Node, factor: float, *, bias: bool = False, columns: slice = slice(None)
) -> None:
    weight = conv.inputs[1].values.astype(np.float64)
    weight[:, columns] *= factor
    conv.inputs[1] = gs.Constant(conv.inputs[1].name, weight)
    if bias and len(conv.inputs) > 2:
        old = conv.inputs[2]
        conv.inputs[2] = gs.Constant(old.name, old.values.astype(np.float64) * factor)


def _relu_conv(tensor: gs.Tensor) -> gs.Node | None:
    """Return the convolution behind a ReLU, if nothing else reads it."""
    relu = _producer(tensor, "Relu")
    conv = _producer(relu.inputs[0], "Conv") if relu is not None else None
    if conv is None or len(conv.outputs[0].outputs) != 1:
        return None
    constant = all(isinstance(weight, gs.Constant) for weight in conv.inputs[1:])
    return conv if constant else None


def _producer(tensor: gs.Tensor, kind: str) -> gs.Node | None:
    nodes = tensor.inputs
    return nodes[0] if len(nodes) == 1 and nodes[0].op == kind else None
