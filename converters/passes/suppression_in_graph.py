"""Suppression as the last step of the network, for who runs the engine outside our runtime.

The candidates (see `best_candidates`) are boxes b[k], scores s[k] falling, and labels l[k]. With

    S[c, k] = s[k] if l[k] = c, else -1

NonMaxSuppression on b and S drops what overlaps a better box of the same label, and nothing else:
classes stay apart, and a candidate can be chosen in the row of its own label only. It returns
triples (image, class, k), as many as there are. They are written into a mask m[k] of 0 and 1, so
that all shapes behind it are fixed again, and

    s'[k] = s[k] if m[k] else -1,     k' = TopK(s'),     number = sum_k m[k]

puts the chosen ones in front, best first. The places behind them have score 0, an empty box, and
label -1. TensorRT runs it as INMSLayer, without a plugin; TensorRT-RTX has no such layer.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from edge_sdk.converters.node_writer import NodeWriter
from edge_sdk.errors import EdgeError
from edge_sdk.head_spec import CANDIDATE_OUTPUTS

PREFIX = "suppression"
OUTPUTS = ("num_dets", "det_boxes", "det_scores", "det_classes")
"""int32 [B, 1], float32 [B, M, 4] (x1 y1 x2 y2, pixels of the input), float32 [B, M], int32 [B, M]:
the names that DeepStream's and Triton's parsers of YOLO engines know."""


def suppression_in_graph(
    model: onnx.ModelProto, classes: int, score: float, iou: float, most: int
) -> onnx.ModelProto:
    """Return a copy that gives the detections, `OUTPUTS`, in place of the candidates.

    Parameters
    ----------
    model : of `best_candidates`.
    classes : how many there are.
    score : the lowest score of a detection, 0..1.
    iou : the overlap above which the lower of two boxes of a class is dropped, 0..1.
    most : detections of an image at most; fewer leave where there are fewer candidates.

    Raises
    ------
    EdgeError
        If the outputs of the model are not candidates.
    """
    if tuple(output.name for output in model.graph.output) != CANDIDATE_OUTPUTS:
        raise EdgeError("Only a network that gives its best candidates can sift them, too.")
    made = onnx.ModelProto()
    made.CopyFrom(model)
    shape = made.graph.output[1].type.tensor_type.shape.dim
    batch, count = shape[0], shape[1].dim_value
    most = min(most, count)
    write = NodeWriter(made.graph, PREFIX)
    boxes, scores, labels = CANDIDATE_OUTPUTS
    mask = _mask(write, classes, count, score, iou)
    zero, no_score, no_label = (
        write.constant(np.array(value)) for value in (np.float32(0), np.float32(-1), np.int32(-1))
    )
    left = write.node("Where", [write.node("Greater", [mask, zero]), scores, no_score])
    values, places = write.nodes("TopK", [left, write.constant(np.array([most]))], 2)
    chosen = write.node("GreaterOrEqual", [values, zero])
    columns = write.take(write.node("Transpose", [boxes], perm=[0, 2, 1]), places, 4)
    found = write.node("Transpose", [columns], perm=[0, 2, 1])
    inside = write.node("Unsqueeze", [chosen, write.constant(np.array([2]))])
    kinds = write.node("GatherElements", [labels, places], axis=1)
    number = write.node("ReduceSum", [mask, write.constant(np.array([1]))], keepdims=1)
    limit = write.constant(np.array(most, np.float32))
    sources = (
        write.node("Cast", [write.node("Min", [number, limit])], to=TensorProto.INT32),
        write.node("Where", [inside, found, zero]),
        write.node("Where", [chosen, values, zero]),
        write.node("Where", [chosen, kinds, no_label]),
    )
    del made.graph.output[:]
    types = (TensorProto.INT32, TensorProto.FLOAT, TensorProto.FLOAT, TensorProto.INT32)
    sizes = ([1], [most, 4], [most], [most])
    for source, name, kind, size in zip(sources, OUTPUTS, types, sizes, strict=True):
        made.graph.node.append(helper.make_node("Identity", [source], [name], name))
        value = helper.make_tensor_value_info(name, kind, [None, *size])
        value.type.tensor_type.shape.dim[0].CopyFrom(batch)
        made.graph.output.append(value)
    return made


def _mask(write: NodeWriter, classes: int, count: int, score: float, iou: float) -> str:
    """Return which candidates stay: float32 [B, K] of 0 and 1."""
    boxes, scores, labels = CANDIDATE_OUTPUTS
    axis = write.constant(np.array([1]))
    rows = write.constant(np.arange(classes, dtype=np.int32).reshape(1, -1, 1))
    own = write.node("Equal", [write.node("Unsqueeze", [labels, axis]), rows])
    below = write.constant(np.array(-1, np.float32))
    apart = write.node("Where", [own, write.node("Unsqueeze", [scores, axis]), below])
    limits = [np.array([count]), np.array([iou], np.float32), np.array([score], np.float32)]
    found = write.node(
        "NonMaxSuppression", [boxes, apart, *map(write.constant, limits)], center_point_box=0
    )
    places = write.node("Gather", [found, write.constant(np.array([0, 2]))], axis=1)
    first = write.node("Gather", [found, write.constant(np.array(0))], axis=1)
    ones = write.node("Cast", [write.node("Equal", [first, first])], to=TensorProto.FLOAT)
    return write.node("ScatterND", [write.node("Sub", [scores, scores]), places, ones])
