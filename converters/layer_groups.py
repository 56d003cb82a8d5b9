"""The layers of a model that must share a precision, and how much work they are.

Layers that read one tensor go together: the tensor is quantized for all of them or for none, and
to keep it in both forms costs more than the one layer saves (the two first convolutions of a CSP
block, the branches of a head).

Members of a Concat, the links of a residual chain and the poolings of an SPP must share a *scale*
where they meet as integers (see `quantization_points`), but no precision. An Add, a Concat or a
pooling works on integers if a layer behind it does, whatever runs before it; a float layer
before it has its output quantized there, a float layer behind it reads float. Every mixture is a
valid graph that converts a tensor at most once. What a change of precision between two groups
costs is measured (`edge_sdk.calibration.latency`) and weighed by the search: it decides to keep a
chain together where that pays, and the groups stay small enough that one bad layer is given up
alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from math import prod

import onnx

from edge_sdk.converters.graph_index import GraphIndex, map_sizes
from edge_sdk.converters.quantization_points import weighted_layers
from edge_sdk.errors import EdgeError
from edge_sdk.precision_plan import PlanGroup


def layer_groups(model: onnx.ModelProto, keep_float: Sequence[str] = ()) -> list[PlanGroup]:
    """Return the groups in the order of the graph, each named after its first layer.

    Parameters
    ----------
    model : the float graph.
    keep_float : patterns (`fnmatch`) of layer names; a group with a layer that fits stays
        float, all others are INT8.

    Raises
    ------
    EdgeError
        If a layer has no name, or that of another one, or a pattern fits no layer.
    """
    index = GraphIndex(model.graph)
    layers = weighted_layers(index)
    names = _checked(layers)
    for pattern in keep_float:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise EdgeError(
                f"No layer is called {pattern!r}. The first layers are "
                f"{', '.join(names[:3])}; patterns such as '*head*' are allowed."
            )
    cells = {name: prod(size) for name, size in map_sizes(model).items()}
    members: dict[str, list[onnx.NodeProto]] = {}
    for node in layers:
        members.setdefault(node.input[0], []).append(node)
    return [_group(nodes, index, cells, keep_float) for nodes in members.values()]


def _group(
    nodes: list[onnx.NodeProto],
    index: GraphIndex,
    cells: dict[str, int],
    keep_float: Sequence[str],
) -> PlanGroup:
    pattern = next(
        (p for p in keep_float for node in nodes if fnmatchcase(node.name, p)),
        None,
    )
    # Each weight is used once an output cell, or once an input cell if transposed.
    counted = ((n, n.output[0] if n.op_type == "Conv" else n.input[0]) for n in nodes)
    return PlanGroup(
        name=nodes[0].name,
        layers=tuple(node.name for node in nodes),
        precision="int8" if pattern is None else "float",
        why="all INT8" if pattern is None else f"kept by {pattern!r}",
        macs=sum(prod(index.shape(node.input[1])) * cells.get(name, 0) for node, name in counted),
    )


def _checked(layers: list[onnx.NodeProto]) -> list[str]:
    names = [node.name for node in layers]
    for name, count in Counter(names).items():
        if not name or count > 1:
            raise EdgeError(
                f"{count} layers of the model are called {name!r}, so that no plan can name "
                "them: convert the model with `edge-sdk convert`."
            )
    return names
