"""From the network's raw outputs to detections: threshold, decode, suppress."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sdk.detections import Detections
from edge_sdk.errors import EdgeError
from edge_sdk.head_spec import HeadSpec
from edge_sdk.runtime.kernels import BINS, LEVELS, Postprocess
from edge_sdk.runtime.letterbox import Placement

LAYOUTS = {"dfl": 0, "grid": 1, "boxes": 2, "decoded": 3}
"""What the kernels call the layouts of heads."""


class Postprocessor:
    """Finds the objects in the raw outputs of one image.

    Scores are compared with the threshold first (as logits where they are logits), boxes are
    decoded only for the best `max_candidates`, and greedy suppression keeps at most
    `max_detections`. Candidates are ordered by score, then by anchor, then by class, so that
    equal input gives equal output. Candidates whose box is not a number, or has no area inside
    the frame, are dropped. May be called from several threads at once: each has a workspace of
    its own, of a size fixed here. The GIL is released meanwhile.

    Parameters
    ----------
    spec : how the outputs are laid out.
    score : the least score of a detection, 0..1.
    iou : boxes of one class that overlap by more than this are one object, 0..1.
    class_agnostic : suppress across classes.
    multi_label : let one anchor yield several classes, rather than its best one.
    max_candidates : candidates that enter suppression.
    max_detections : detections that leave it.

    Raises
    ------
    EdgeError
        If a parameter is out of range, or the head is not one that can be decoded.
    """

    def __init__(
        self,
        spec: HeadSpec,
        *,
        score: float = 0.25,
        iou: float = 0.7,
        class_agnostic: bool = False,
        multi_label: bool = True,
        max_candidates: int = 1000,
        max_detections: int = 300,
    ) -> None:
        check_threshold("iou", iou)
        for name, count in (("max_candidates", max_candidates), ("max_detections", max_detections)):
            if not 1 <= count <= 1_000_000:
                raise EdgeError(f"{name} must be 1..1000000, not {count}.")
        self.spec = spec
        self._shapes = output_shapes(spec)
        self._max_detections = max_detections
        pairs = spec.num_anchors * spec.num_classes
        self._settings = (
            LAYOUTS[spec.layout],
            spec.num_anchors,
            spec.num_classes,
            spec.reg_max + 1,
            levels_of(spec),
            raw_threshold(spec, score),
            iou,
            class_agnostic,
            multi_label,
            min(max_candidates, pairs),
            max_detections,
        )
        self._local = threading.local()

    def __call__(
        self,
        outputs: Sequence[npt.NDArray[np.float32]],
        placement: Placement,
        frame_size: tuple[int, int],
    ) -> Detections:
        """Return the detections of one image.

        Parameters
        ----------
        outputs : float32 arrays without the batch axis, in the order of `spec.output_names`.
        placement : where the picture lies in the network's input.
        frame_size : (height, width) of the frame in pixels.

        Raises
        ------
        EdgeError
            If an output does not have the shape that the head specification tells.
        """
        arrays = self._checked(outputs)
        limit = self._max_detections
        boxes = np.empty((limit, 4), np.float32)
        scores = np.empty(limit, np.float32)
        class_ids = np.empty(limit, np.int32)
        count = self._kernel().run(
            arrays, placement.scale, placement.left, placement.top, *frame_size,
            boxes, scores, class_ids,
        )  # fmt: skip
        return Detections(
            boxes[:count].copy(),
            scores[:count].copy(),
            class_ids[:count].copy(),
            self.spec.class_names,
        )

    def _kernel(self) -> Any:
        """Return this thread's workspace."""
        try:
            return self._local.kernel
        except AttributeError:
            self._local.kernel = Postprocess(*self._settings)
            return self._local.kernel

    def _checked(
        self, outputs: Sequence[npt.NDArray[np.float32]]
    ) -> tuple[npt.NDArray[np.float32], ...]:
        """Return the outputs as contiguous float32 arrays of the right shapes."""
        names = self.spec.output_names
        if len(outputs) != len(names):
            raise EdgeError(
                f"The network gave {len(outputs)} outputs where its head specification names "
                f"{len(names)} ({', '.join(names)})."
            )
        for name, shape, output in zip(names, self._shapes, outputs, strict=True):
            if output.shape != shape:
                raise EdgeError(
                    f"The network's output {name!r} has the shape {list(output.shape)} where its "
                    f"head specification ({self.spec.family}) tells {list(shape)}."
                )
        return tuple(np.ascontiguousarray(output, np.float32) for output in outputs)


def check_threshold(name: str, value: float) -> None:
    """Raise an EdgeError if a threshold is not 0..1."""
    if not 0.0 <= value <= 1.0:
        raise EdgeError(f"The {name} threshold must be 0..1, not {value}.")


def raw_threshold(spec: HeadSpec, score: float) -> float:
    """Return what a network's own score must reach for a score of 0..1: a logit, if it is one.

    Raises
    ------
    EdgeError
        If the score is out of range.
    """
    check_threshold("score", score)
    return logit(score) if spec.layout == "dfl" else score


def logit(probability: float) -> float:
    """Return the logit of a probability, infinite at 0 and 1."""
    if probability in (0.0, 1.0):
        return math.inf if probability else -math.inf
    return math.log(probability / (1.0 - probability))


def levels_of(spec: HeadSpec) -> tuple[tuple[int, int, int], ...]:
    """Return (height, width, stride) of each map, finest first."""
    height, width = spec.input_size
    return tuple((height // stride, width // stride, stride) for stride in spec.strides)


def output_shapes(spec: HeadSpec) -> list[tuple[int, ...]]:
    """Return the shape of each output, without the batch axis, in the order of their names.

    Raises
    ------
    EdgeError
        If the head is not one that can be decoded.
    """
    if not 1 <= len(spec.strides) <= LEVELS or not all(min(level) > 0 for level in levels_of(spec)):
        raise EdgeError(
            f"The head specification's strides {list(spec.strides)} do not fit its input size "
            f"{list(spec.input_size)}: there must be 1..{LEVELS}, none beyond the input's sides."
        )
    if not 1 <= spec.reg_max < BINS:
        raise EdgeError(f"The head specification's reg_max ({spec.reg_max}) must be 1..{BINS - 1}.")
    anchors, classes = spec.num_anchors, spec.num_classes
    if not 0 < anchors * classes < 2**31:
        raise EdgeError(f"A head of {anchors} anchors and {classes} classes cannot be decoded.")
    if spec.layout == "grid":
        return [(anchors, 5 + classes)]
    if spec.layout == "boxes":
        return [(4 + classes, anchors)]
    if spec.layout == "decoded":
        return [(anchors, 4), (anchors, classes)]
    maps = [level[:2] for level in levels_of(spec)]
    return [(channels, *size) for channels in (classes, 4 * (spec.reg_max + 1)) for size in maps]
