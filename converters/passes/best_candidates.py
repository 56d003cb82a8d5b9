"""Let only the best boxes leave the network: a few kilobytes an image instead of megabytes.

With C classes and N anchors, a candidate is a pair (class, anchor) with the score of that class.
The K best pairs are found in two steps. Let A be the K anchors whose best class scores highest.
Every one of the K best pairs is in A: an anchor outside A has K anchors above it, each with a
pair that scores at least as high. So

    best[n]    = max_c s[c, n]
    A          = TopK(best)
    (c, a)[k]  = TopK(s[:, A], flattened),

and what decodes a box runs for K anchors, not for all N:

    dfl      d = sum_r r softmax(x[side, :])[r],  box = centre -+ stride d
    grid     centre = stride (cell + xy),  size = stride exp(wh)
    boxes    centre and size as they are
    decoded  corners as they are.

Scores stay logits until the end where they are logits: the sigmoid keeps the order. Decoding is
float32, and none of it is a product of matrices.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from edge_sdk.converters.graph_index import drop_unread
from edge_sdk.converters.node_writer import NodeWriter
from edge_sdk.errors import EdgeError
from edge_sdk.head_spec import CANDIDATE_OUTPUTS, HeadSpec

PREFIX = "candidates"
"""What the names of all nodes begin with, before a dot."""
MOST = 3840
"""TensorRT's TopK takes no larger K."""

Floats = npt.NDArray[np.float32]


def best_candidates(model: onnx.ModelProto, spec: HeadSpec, count: int) -> onnx.ModelProto:
    """Return a copy whose outputs are the best candidates, `CANDIDATE_OUTPUTS`.

    Parameters
    ----------
    model : float16 or float32, with the outputs of `spec`.
    spec : the model's contract.
    count : how many candidates, 1..3840; fewer leave where there are fewer pairs.

    Raises
    ------
    EdgeError
        If `count` is out of range.
    """
    if not 1 <= count <= MOST:
        raise EdgeError(f"The number of candidates must be 1..{MOST}, not {count}.")
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    kinds = {value.name: value.type.tensor_type.elem_type for value in model.graph.output}
    _Tail(changed.graph, spec, count, kinds[spec.output_names[0]]).write()
    drop_unread(changed.graph)
    return changed


class _Tail(NodeWriter):
    """Writes the nodes behind the outputs of one graph."""

    def __init__(self, graph: onnx.GraphProto, spec: HeadSpec, count: int, kind: int) -> None:
        super().__init__(graph, PREFIX)
        self.spec = spec
        self.kind = kind
        self.anchors = min(count, spec.num_anchors)
        self.count = min(count, self.anchors * spec.num_classes)

    def write(self) -> None:
        """Append the nodes and replace the outputs."""
        scores, rows, decode = _LAYOUTS[self.spec.layout](self)
        values, labels, anchors = self._choose(scores)
        chosen = self.take(rows[0], anchors, rows[1])
        boxes = decode(self._transpose(self._float(chosen), [0, 2, 1]), anchors)
        values = self._float(values)
        if self.spec.layout == "dfl":
            values = self.node("Sigmoid", [values])
        kinds = (TensorProto.FLOAT, TensorProto.FLOAT, TensorProto.INT32)
        batch = self.graph.output[0].type.tensor_type.shape.dim[0]
        del self.graph.output[:]
        for source, name, kind in zip(
            (boxes, values, labels), CANDIDATE_OUTPUTS, kinds, strict=True
        ):
            self.graph.node.append(helper.make_node("Identity", [source], [name], name))
            shape = [None, self.count, 4] if name == CANDIDATE_OUTPUTS[0] else [None, self.count]
            value = helper.make_tensor_value_info(name, kind, shape)
            value.type.tensor_type.shape.dim[0].CopyFrom(batch)
            self.graph.output.append(value)

    def _choose(self, scores: str) -> tuple[str, str, str]:
        """Return scores, labels and anchors [B, K] of the best pairs of [B, C, N]."""
        best = self.node("ReduceMax", [scores, self.constant(np.array([1]))], keepdims=0)
        some = self._top(best, self.anchors)[1]
        pairs = self.take(scores, some, self.spec.num_classes)
        pairs = self.node("Reshape", [pairs, self.constant(np.array([0, -1]))])
        values, pair = self._top(pairs, self.count)
        width = self.constant(np.array(self.anchors, np.int32))
        labels = self.node("Div", [pair, width])
        place = self.node("Sub", [pair, self.node("Mul", [labels, width])])
        return values, labels, self.node("GatherElements", [some, place], axis=1)

    def _top(self, values: str, count: int) -> tuple[str, str]:
        """Return the largest values [B, K] of [B, N], falling, and int32 where they stand."""
        best, places = self.nodes("TopK", [values, self.constant(np.array([count]))], 2)
        return best, self.node("Cast", [places], to=TensorProto.INT32)

    def dfl(self) -> tuple[str, tuple[str, int], Callable[[str, str], str]]:
        bins = self.spec.reg_max + 1

        def decode(rows: str, anchors: str) -> str:
            shape = self.constant(np.array([0, 0, 4, bins]))
            shares = self.node("Softmax", [self.node("Reshape", [rows, shape])], axis=3)
            terms = self.node("Mul", [shares, self.constant(np.arange(bins, dtype=np.float32))])
            axes = self.constant(np.array([3]))
            distances = self.node("ReduceSum", [terms, axes], keepdims=0)
            centre, stride = _cells(self.spec, 0.5)
            centres = self._at(np.tile(centre * stride, 2), anchors)
            steps = self._at(stride * np.array([-1, -1, 1, 1], np.float32), anchors)
            return self.node("Add", [centres, self.node("Mul", [distances, steps])])

        scores = self._joined("classes", self.spec.num_classes)
        return scores, (self._joined("distances", 4 * bins), 4 * bins), decode

    def grid(self) -> tuple[str, tuple[str, int], Callable[[str, str], str]]:
        def decode(rows: str, anchors: str) -> str:
            cell, stride = _cells(self.spec, 0.0)
            offsets, sizes = self._split(rows, [2, 2], 2)
            steps = self._at(np.tile(stride, 2), anchors)
            offsets = self.node("Mul", [offsets, steps])
            centres = self.node("Add", [offsets, self._at(cell * stride, anchors)])
            return self._corners(centres, self.node("Mul", [self.node("Exp", [sizes]), steps]))

        rows = self._transpose(self.spec.outputs["predictions"][0], [0, 2, 1])
        boxes, objects, classes = self._split(rows, [4, 1, self.spec.num_classes], 1)
        return self.node("Mul", [objects, classes]), (boxes, 4), decode

    def boxes(self) -> tuple[str, tuple[str, int], Callable[[str, str], str]]:
        def decode(rows: str, anchors: str) -> str:
            return self._corners(*self._split(rows, [2, 2], 2))

        rows = self.spec.outputs["predictions"][0]
        boxes, scores = self._split(rows, [4, self.spec.num_classes], 1)
        return scores, (boxes, 4), decode

    def decoded(self) -> tuple[str, tuple[str, int], Callable[[str, str], str]]:
        (boxes,), (scores,) = self.spec.outputs["boxes"], self.spec.outputs["scores"]
        rows = (self._transpose(boxes, [0, 2, 1]), 4)
        return self._transpose(scores, [0, 2, 1]), rows, lambda rows, anchors: rows

    def _joined(self, role: str, channels: int) -> str:
        """Return the maps of a role as [B, channels, N]."""
        shape = self.constant(np.array([0, channels, -1]))
        flat = [self.node("Reshape", [name, shape]) for name in self.spec.outputs[role]]
        return self.node("Concat", flat, axis=2)

    def _at(self, values: Floats, anchors: str) -> str:
        """Return the rows [B, K, D] of a constant [N, D]."""
        return self.node("Gather", [self.constant(values.astype(np.float32)), anchors], axis=0)

    def _corners(self, centres: str, sizes: str) -> str:
        halves = self.node("Mul", [sizes, self.constant(np.array(0.5, np.float32))])
        corners = [self.node(kind, [centres, halves]) for kind in ("Sub", "Add")]
        return self.node("Concat", corners, axis=2)

    def _split(self, tensor: str, sizes: list[int], axis: int) -> list[str]:
        lengths = self.constant(np.array(sizes))
        return self.nodes("Split", [tensor, lengths], len(sizes), axis=axis)

    def _transpose(self, tensor: str, order: list[int]) -> str:
        return self.node("Transpose", [tensor], perm=order)

    def _float(self, tensor: str) -> str:
        if self.kind == TensorProto.FLOAT:
            return tensor
        return self.node("Cast", [tensor], to=TensorProto.FLOAT)


_LAYOUTS: dict[str, Callable[[_Tail], tuple[str, tuple[str, int], Callable[[str, str], str]]]] = {
    "dfl": _Tail.dfl, "grid": _Tail.grid, "boxes": _Tail.boxes, "decoded": _Tail.decoded,
}  # fmt: skip


def _cells(spec: HeadSpec, offset: float) -> tuple[Floats, Floats]:
    """Return x and y [N, 2] of all cells plus an offset, in cells, and their strides [N, 1]."""
    height, width = spec.input_size
    places, strides = [], []
    for stride in spec.strides:
        y, x = np.mgrid[: height // stride, : width // stride]
        places.append(np.stack([x.ravel(), y.ravel()], axis=1) + offset)
        strides.append(np.full((y.size, 1), stride))
    return (
        np.concatenate(places).astype(np.float32),
        np.concatenate(strides).astype(np.float32),
    )
