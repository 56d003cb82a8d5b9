"""How the layer groups of a model follow each other, and which of them a node works for.

A node that is no weighted layer works for

- the layer before it, if it is an activation (an operator that cannot work on integers): engines
  run it with that layer;
- the groups that read what it makes, if it can work on integers (Add, Concat, pooling, whatever
  moves values): it does so when one of them does;
- nobody, if no layer comes behind it: its time is the same in every plan.

Between two groups lies a *boundary* where the second reads, through such nodes, what the first
makes or what it reads too. If they differ in precision, something converts the tensor there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import onnx

from edge_sdk.converters.graph_index import GraphIndex
from edge_sdk.converters.passes.best_candidates import PREFIX as CANDIDATES
from edge_sdk.converters.quantization_points import (
    INTEGER,
    data_inputs,
    is_weighted_layer,
    rescaling,
    weighted_layers,
)
from edge_sdk.precision_plan import PlanGroup

Boundary = tuple[str, str]
"""The group before and the group behind, by name."""


class GroupGraph:
    """Look-ups over one float model and its layer groups.

    Attributes
    ----------
    boundaries : every pair of neighbours once, in the order of the graph.
    """

    def __init__(self, model: onnx.ModelProto, groups: Sequence[PlanGroup]) -> None:
        self._index = GraphIndex(model.graph)
        self._group_of = {layer: group.name for group in groups for layer in group.layers}
        layers = weighted_layers(self._index)
        self._reader_of = {node.input[0]: self._group_of[node.name] for node in layers}
        self._readers: dict[str, tuple[str, ...]] = {}
        for node in reversed(model.graph.node):
            for name in node.output:
                self._readers[name] = self._behind(name)
        for value in model.graph.input:
            self._readers[value.name] = self._behind(value.name)
        self._labels = self._all_labels(model.graph)
        self.boundaries: tuple[Boundary, ...] = tuple(
            dict.fromkeys(
                (before, group)
                for tensor, group in self._reader_of.items()
                for before in self._before(tensor)
                if before != group
            )
        )

    def owners(self, labels: Iterable[str]) -> tuple[str, ...] | None:
        """Return the groups that a kernel works for.

        Parameters
        ----------
        labels : what the engine calls the kernel, and the nodes that it fused into it. An engine
            may have added to a name; what it added is cut off piece by piece.

        Returns
        -------
        Group names; none if the kernel comes behind all layers; None if no label is known.
        """
        found = [owner for label in labels if (owner := self._resolve(label)) is not None]
        layers = [owner for owner, is_layer in found if is_layer]
        if layers:
            return tuple(dict.fromkeys(name for owner in layers for name in owner))
        return found[0][0] if found else None

    def _resolve(self, label: str) -> tuple[tuple[str, ...], bool] | None:
        while label and label not in self._labels:
            label = label[: max(label.rfind(mark) for mark in "._/:")] if _marked(label) else ""
        return self._labels.get(label)

    def _all_labels(self, graph: onnx.GraphProto) -> dict[str, tuple[tuple[str, ...], bool]]:
        """Return owner and whether it is a layer's own name, for nodes and for what lowers them."""
        labels: dict[str, tuple[tuple[str, ...], bool]] = {CANDIDATES: ((), False)}
        for node in graph.node:
            entry: tuple[tuple[str, ...], bool]
            if is_weighted_layer(node, self._index):
                entry = ((self._group_of[node.name],), True)
                labels[f"{node.input[1]}.dequantize"] = entry
            else:
                entry = (self._owner(node), False)
            for name in (node.name, *node.output):
                labels.setdefault(name, entry)
        for name, readers in self._readers.items():
            for suffix in (".quantize", ".dequantize"):
                labels.setdefault(name + suffix, (readers, False))
        return labels

    def _owner(self, node: onnx.NodeProto) -> tuple[str, ...]:
        if not self._integer(node):
            layers = self._activated(node)
            if layers:
                return layers
        return tuple(dict.fromkeys(g for name in node.output for g in self._readers[name]))

    def _integer(self, node: onnx.NodeProto) -> bool:
        return node.op_type in INTEGER or rescaling(node, self._index) is not None

    def _activated(self, node: onnx.NodeProto) -> tuple[str, ...]:
        """Return the groups whose layers a node is an activation of."""
        found: list[str] = []
        for name in data_inputs(node):
            before = self._index.producers.get(name)
            if before is None:
                continue
            if is_weighted_layer(before, self._index):
                found.append(self._group_of[before.name])
            elif not self._integer(before):
                found.extend(self._activated(before))
        return tuple(dict.fromkeys(found))

    def _behind(self, tensor: str) -> tuple[str, ...]:
        """Return the first groups that read a tensor; all behind it are known already."""
        found: list[str] = []
        for node in self._index.consumers[tensor]:
            if is_weighted_layer(node, self._index):
                found.append(self._group_of[node.name])
            elif tensor in data_inputs(node):
                found.extend(group for name in node.output for group in self._readers[name])
        return tuple(dict.fromkeys(found))

    def _before(self, tensor: str) -> list[str]:
        """Return the groups that make a tensor, or read a tensor that it is made of."""
        node = self._index.producers.get(tensor)
        if node is None:
            return []
        if is_weighted_layer(node, self._index):
            return [self._group_of[node.name]]
        found: list[str] = []
        for name in data_inputs(node):
            reader = self._reader_of.get(name)
            found.extend(self._before(name) if reader is None else [reader])
        return found


def _marked(label: str) -> bool:
    return any(mark in label for mark in "._/:")
