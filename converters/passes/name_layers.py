"""Give every node a unique name that a person recognizes, and its weights the same.

Plans, tables and reports name layers, so names must say which layer of the network a node is,
and be the same whoever exported it. A layer is called after its weight (`head.stem.weight` ->
`head.stem`), else after its node without the slashes of torch's exporter (`/head/stem/Conv` ->
`head.stem.Conv`), else after its type and place. A convolution reads `<layer>.weight` and
`<layer>.bias`; where two layers share a weight each gets its own, since passes rescale them.
"""

from __future__ import annotations

from collections import Counter

import onnx_graphsurgeon as gs

LAYERS = ("Conv", "ConvTranspose", "BatchNormalization")


def name_layers(graph: gs.Graph) -> None:
    """Name all nodes, and the weights of convolutions."""
    taken: Counter[str] = Counter()
    for index, node in enumerate(graph.nodes):
        wish = _wish(node, index)
        taken[wish] += 1
        node.name = wish if taken[wish] == 1 else f"{wish}_{taken[wish]}"
    for node in graph.nodes:
        if node.op in LAYERS[:2]:
            for place, part in enumerate(("weight", "bias")[: len(node.inputs) - 1], start=1):
                old = node.inputs[place]
                if isinstance(old, gs.Constant):
                    node.inputs[place] = gs.Constant(f"{node.name}.{part}", old.values)


def _wish(node: gs.Node, index: int) -> str:
    if node.op in LAYERS and len(node.inputs) > 1:
        layer, dot, part = node.inputs[1].name.rpartition(".")
        if dot and part == "weight":
            return str(layer)
    return node.name.strip("/").replace("/", ".") or f"{node.op}_{index}"
