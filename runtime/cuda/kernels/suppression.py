"""Non-maximum suppression on the GPU: what leaves it is a few kilobytes a frame."""

from __future__ import annotations

import numpy as np

from edge_sdk.errors import EdgeError
from edge_sdk.runtime.cuda.kernels.candidates import MOST
from edge_sdk.runtime.cuda.kernels.module import Module
from edge_sdk.runtime.postprocess import check_threshold

_THREADS = 512  # as suppress.cu has it
_OPTIONS = np.dtype(
    [
        ("candidates", np.int32), ("max_detections", np.int32),
        ("iou", np.float32),
        ("class_agnostic", np.int32), ("multi_label", np.int32),
    ],
    align=True,
)  # fmt: skip


class CudaSuppression:
    """Keeps of overlapping candidates the best, as the C kernels do, to the same bits.

    One launch, one block of threads an image; it may be captured. A context must be current in
    every call.

    Experimental: has not run on a GPU yet.

    Parameters
    ----------
    batch : images a call.
    candidates : of an image, 1..1024.
    iou : boxes of one class that overlap by more than this are one object, 0..1.
    class_agnostic : suppress across classes.
    max_detections : of an image, 1..1024.
    multi_label : if not, of candidates whose boxes are equal bit for bit, which are those of one
        anchor, only the best is kept.

    Raises
    ------
    EdgeError
        If a parameter is out of range, or the kernel cannot be compiled.
    """

    def __init__(
        self, batch: int, candidates: int, iou: float, class_agnostic: bool, max_detections: int,
        multi_label: bool,
    ) -> None:  # fmt: skip
        for name, count in (("candidates", candidates), ("max_detections", max_detections)):
            if not 1 <= count <= MOST:
                raise EdgeError(f"The {name} on a GPU must be 1..{MOST}, not {count}.")
        check_threshold("iou", iou)
        self._batch = batch
        self._options = np.array(
            (candidates, max_detections, iou, class_agnostic, multi_label), _OPTIONS
        )
        self._module = Module("suppress")

    def __call__(
        self, boxes: int, scores: int, labels: int, least: int, places: int, results: int,
        stream: int,
    ) -> None:  # fmt: skip
        """Suppress; returns before the GPU is through with it.

        Parameters
        ----------
        boxes : address of float32 [B, candidates, 4], x1, y1, x2, y2 in pixels of the network's
            input. Those that are not numbers, or have no area inside the frame, are dropped.
        scores : address of float32 [B, candidates], falling.
        labels : address of int32 [B, candidates].
        least : address of float32 [1]: candidates below it are left out. Behind `CudaCandidates`,
            which compares scores itself, and as logits, it is 0.
        places : address of float32 [B, 5]: scale, left and top of the picture's placement, width
            and height of the frame in pixels.
        results : address of 32-bit words [B, 4 + 6 * max_detections]: an int32 count and three
            zeros; float32 boxes [max_detections, 4] in pixels of the frame, clipped to it; float32
            scores; int32 labels; zeros beyond the count.
        stream : handle of the stream to work in.
        """
        given = [np.uint64(address) for address in (boxes, scores, labels, least, places)]
        self._module.launch(
            "suppress", (self._batch, 1, 1), (_THREADS, 1, 1),
            (*given, self._options, np.uint64(results)), stream,
        )  # fmt: skip

    def close(self) -> None:
        """Let go of the kernel."""
        self._module.close()
