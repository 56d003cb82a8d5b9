"""From raw outputs on the GPU to the best candidates, decoded, on the GPU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import EdgeError
from edge_sdk.head_spec import HeadSpec
from edge_sdk.runtime.cuda.driver import call
from edge_sdk.runtime.cuda.kernels.module import Module
from edge_sdk.runtime.cuda.memory import DeviceBuffer
from edge_sdk.runtime.cuda.stream import SETUP
from edge_sdk.runtime.kernels import LEVELS
from edge_sdk.runtime.postprocess import LAYOUTS, levels_of, output_shapes

MOST = 1024
"""Candidates of an image, at most."""

_SCANNED, _CELLS, _ANCHORS, _DECODED = 2048, 256, 8, 64  # a block, as the .cu files have them
_SCAN_THREADS, _RANK_THREADS, _DECODE_THREADS = 256, 512, 256

_LEVEL = np.dtype(
    [
        ("scores", np.uint64), ("boxes", np.uint64),
        ("scores_pitch", np.int64), ("boxes_pitch", np.int64),
        ("cells", np.int32), ("width", np.int32), ("stride", np.int32), ("first", np.int32),
    ],
    align=True,
)  # fmt: skip
_HEAD = np.dtype(
    [(name, np.int32) for name in ("layout", "anchors", "classes", "bins", "levels")]
    + [("level", _LEVEL, LEVELS)],
    align=True,
)


class CudaCandidates:
    """Chooses the best candidates of a batch and decodes them: scores first, then few boxes.

    Scores are compared with a threshold (as logits where they are logits), the best `count` are
    sorted, by score, then anchor, then class, and boxes are decoded for those alone. Results have
    the bits of the C kernels. Three launches, which may be captured; nothing is allocated or waited
    for in a call. One object works in the order of one stream. A context must be current in every
    call.

    Experimental: has not run on a GPU yet.

    Parameters
    ----------
    spec : how the outputs are laid out.
    batch : images a call.
    dtype : of the outputs, float16 or float32.
    count : candidates an image, 1..1024.
    multi_label : let one anchor yield several classes, rather than its best one.

    Raises
    ------
    EdgeError
        If a parameter is out of range, the head cannot be decoded, or memory or NVRTC is short.
    """

    def __init__(
        self, spec: HeadSpec, batch: int, dtype: npt.DTypeLike, count: int, multi_label: bool
    ) -> None:
        kind = np.dtype(dtype)
        if kind.name not in ("float16", "float32"):
            raise EdgeError(f"The network's outputs must be float16 or float32, not {kind}.")
        if not 1 <= count <= MOST:
            raise EdgeError(f"The number of candidates on a GPU must be 1..{MOST}, not {count}.")
        output_shapes(spec)  # checks the head
        self._spec = spec
        self._kind = kind
        self._batch = batch
        self._count = np.uint32(count)
        self._multi_label = np.int32(multi_label)
        self._head = _head(spec)
        self._capacity = np.int64(spec.num_anchors * (spec.num_classes if multi_label else 1))
        self._modules = {name: Module(name) for name in ("scan", "rank", "decode")}
        self._keys = DeviceBuffer(8 * batch * int(self._capacity))
        self._best = DeviceBuffer(8 * batch * count)
        self._found = DeviceBuffer(4 * batch)
        with SETUP:
            call("cuMemsetD8", self._found.address, 0, self._found.nbytes)
            call("cuCtxSynchronize")  # streams of ours do not wait for the default one

    def __call__(
        self, outputs: Sequence[int], least: int, boxes: int, scores: int, labels: int, stream: int
    ) -> None:
        """Choose and decode; returns before the GPU is through with it.

        Parameters
        ----------
        outputs : addresses of the network's outputs, in the order of `spec.output_names`.
        least : address of float32 [1], what a score of a candidate reaches (see `raw_threshold`).
        boxes : address of float32 [B, count, 4], aligned to 16 bytes: x1, y1, x2, y2 in pixels of
            the network's input; NaN where the output was.
        scores : address of float32 [B, count], probabilities, falling; -1 where there are no more.
        labels : address of int32 [B, count].
        stream : handle of the stream to work in.
        """
        self._point_at(outputs)
        kept = [np.uint64(buffer.address) for buffer in (self._keys, self._found)]
        best = np.uint64(self._best.address)
        self._scan(np.uint64(least), (*kept, self._capacity), stream)
        self._modules["rank"].launch(
            "rank", (self._batch, 1, 1), (_RANK_THREADS, 1, 1),
            (*kept, self._capacity, self._count, best), stream,
        )  # fmt: skip
        blocks = -(-int(self._count) // _DECODED)
        results = [np.uint64(address) for address in (boxes, scores, labels)]
        self._modules["decode"].launch(
            f"decode_{self._kind.name}", (blocks, self._batch, 1), (_DECODE_THREADS, 1, 1),
            (self._head, best, self._count, *results), stream,
        )  # fmt: skip

    def _scan(self, least: np.uint64, sink: tuple[np.generic, ...], stream: int) -> None:
        """Let all scores be read."""
        levels = self._head["level"][: int(self._head["levels"])]
        arguments: tuple[np.generic | npt.NDArray[np.void], ...] = (self._head, least)
        if self._spec.layout in ("grid", "decoded"):
            name, blocks, height = "scan_rows", -(-self._spec.num_anchors // _ANCHORS), 1
            arguments += (self._multi_label,)
        elif self._multi_label:
            most = int(levels["cells"].max()) * self._spec.num_classes
            name, blocks, height = "scan_planes", -(-most // _SCANNED), len(levels)
        else:
            most = int(levels["cells"].max())
            name, blocks, height = "scan_columns", -(-most // _CELLS), len(levels)
        self._modules["scan"].launch(
            f"{name}_{self._kind.name}", (blocks, height, self._batch), (_SCAN_THREADS, 1, 1),
            (*arguments, *sink), stream,
        )  # fmt: skip

    def _point_at(self, outputs: Sequence[int]) -> None:
        """Put the addresses of the outputs into the head."""
        level, size = self._head["level"], self._kind.itemsize
        if self._spec.layout == "dfl":
            number = len(self._spec.strides)
            level["scores"][:number] = outputs[:number]
            level["boxes"][:number] = outputs[number:]
        elif self._spec.layout == "decoded":
            level[0]["boxes"], level[0]["scores"] = outputs
        else:
            before = 5 if self._spec.layout == "grid" else 4 * self._spec.num_anchors
            level[0]["boxes"] = outputs[0]
            level[0]["scores"] = outputs[0] + before * size

    def close(self) -> None:
        """Let go of the kernels and the memory."""
        for module in self._modules.values():
            module.close()
        for buffer in (self._keys, self._best, self._found):
            buffer.close()


def _head(spec: HeadSpec) -> npt.NDArray[np.void]:
    """Return a head as the kernels want it described, without the addresses of its outputs."""
    anchors, classes, bins = spec.num_anchors, spec.num_classes, spec.reg_max + 1
    head = np.zeros((), _HEAD)
    cells = levels_of(spec) if spec.layout in ("dfl", "grid") else ((1, anchors, 1),)
    head["layout"], head["anchors"], head["classes"] = LAYOUTS[spec.layout], anchors, classes
    head["bins"], head["levels"] = bins, len(cells)
    first = 0
    for level, (height, width, stride) in zip(head["level"], cells, strict=False):
        number = height * width
        pitches = {
            "dfl": (classes * number, 4 * bins * number),
            "grid": ((5 + classes) * anchors,) * 2,
            "boxes": ((4 + classes) * anchors,) * 2,
            "decoded": (classes * anchors, 4 * anchors),
        }[spec.layout]
        level["scores_pitch"], level["boxes_pitch"] = pitches
        level["cells"], level["width"] = number, width
        level["stride"], level["first"] = stride, first
        first += number
    return head
