"""Cut super-gradients' decoder off a YOLO-NAS, back to the prediction convolutions.

The exported graph decodes every anchor: softmax over the distances, a dot product with 0..16
(itself a 1x1 convolution), anchor points, strides, sigmoid. The runtime decodes only the anchors
that score, so the six convolutions in front of all that become the outputs. They are found by
walking back from the two outputs, boxes [B, N, 4] and scores [B, N, C], to the first convolution
on each way; the convolution of the dot product has one output channel and is walked through.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_graphsurgeon as gs


def cut_head(graph: gs.Graph) -> bool:
    """Cut in place if the graph is such a YOLO-NAS; tell whether it was."""
    if len(graph.outputs) != 2:
        return False
    found = [_predictions(output) for output in graph.outputs]
    for distances, classes in (found, found[::-1]):
        channels = {conv.inputs[1].values.shape[0] for conv in classes}
        boxes = {conv.inputs[1].values.shape[0] for conv in distances}
        if len(classes) == len(distances) == 3 and len(channels) == 1 and boxes == {68}:
            break
    else:
        return False
    for role, convs in (("classes", classes), ("distances", distances)):
        for number, conv in enumerate(convs, start=1):
            conv.outputs[0].name = f"{role}_{8 << (number - 1)}"
    graph.outputs = [conv.outputs[0] for conv in (*classes, *distances)]
    for output in graph.outputs:
        output.dtype = graph.inputs[0].dtype
    graph.cleanup().toposort()
    return True


def _predictions(output: gs.Tensor) -> list[gs.Node]:
    """Return the first convolutions that are met on the way back, in the graph's order."""
    return list({conv.name: conv for conv in _walk(output, set())}.values())


def _walk(tensor: gs.Tensor, seen: set[str]) -> Iterator[gs.Node]:
    for node in tensor.inputs:
        if node.name in seen or node.op == "Shape":
            continue
        seen.add(node.name)
        if node.op == "Conv" and node.inputs[1].values.shape[0] > 1:
            yield node
        else:
            for source in node.inputs:
                yield from _walk(source, seen)
