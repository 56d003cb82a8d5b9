"""What a detector expects of its input and how its raw outputs are to be read.

A `HeadSpec` travels inside the float ONNX file (metadata key `edge_sdk.head_spec`) and in
the manifest of a bundle. It holds plain values only, so that the runtime can read it
without any model library.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from edge_sdk.errors import EdgeError

METADATA_KEY = "edge_sdk.head_spec"

Layout = Literal["dfl", "grid", "boxes", "decoded"]
"""How the raw outputs hold boxes and scores (B images, C classes, N anchors, R = reg_max).

dfl      per stride one map of class logits [B, C, H, W] and one of distances
         [B, 4 * (R + 1), H, W] (YOLO-NAS cut at its prediction convolutions)
grid     one tensor [B, N, 5 + C]: centre offset and log size in cells, then objectness and
         class probabilities, already through the sigmoid (YOLOX)
boxes    one tensor [B, 4 + C, N]: centre x, centre y, width, height in pixels of the network
         input, then class probabilities (YOLOv8)
decoded  boxes [B, N, 4] as x1, y1, x2, y2 in pixels of the network input, and class
         probabilities [B, N, C] (YOLO-NAS with its decoder in the graph)
"""

ROLES: dict[str, tuple[str, ...]] = {
    "dfl": ("classes", "distances"),
    "grid": ("predictions",),
    "boxes": ("predictions",),
    "decoded": ("boxes", "scores"),
}

CANDIDATE_OUTPUTS = ("candidate_boxes", "candidate_scores", "candidate_labels")
"""Outputs of graphs for GPUs in place of the raw ones, where only the best candidates leave the
network: float32 [B, K, 4], x1, y1, x2, y2 in pixels of the network's input; float32 [B, K],
probabilities, falling; int32 [B, K]."""


@dataclass(frozen=True)
class Preprocessing:
    """From a BGR uint8 frame to the network's input.

    The frame is scaled by min((H - margin) / h, (W - margin) / w) (bilinear, half-pixel
    centres), placed in an H x W canvas of `pad_value`, put in `channel_order` and multiplied
    by `scale`.

    Attributes
    ----------
    channel_order : of the network's input planes.
    scale : factor on pixel values 0..255.
    placement : where the picture lies in the canvas; "center" puts the odd pixel of
        padding at the bottom and right.
    pad_value : 0..255, before `scale`.
    margin : pixels kept free in height and in width.
    """

    channel_order: Literal["rgb", "bgr"] = "rgb"
    scale: float = 1.0 / 255.0
    placement: Literal["center", "top_left"] = "center"
    pad_value: int = 114
    margin: int = 0


@dataclass(frozen=True)
class HeadSpec:
    """A detector family's contract, resolved for one model.

    Attributes
    ----------
    family : "yolo_nas", "yolox" or "yolov8".
    layout : see `Layout`.
    class_names : one name a class; their number is the number of classes.
    input_name : the network's only input, [B, 3, H, W].
    input_size : (height, width) in pixels; multiples of 32. The size to run at, also when the
        graph's own shape is dynamic.
    outputs : role -> names of graph outputs, in the order of `strides` where there are several.
    strides : pixels of the input a cell, finest first.
    reg_max : the largest distance of the distribution focal loss head, in cells.
    """

    family: str
    layout: Layout
    class_names: tuple[str, ...]
    input_name: str
    input_size: tuple[int, int]
    outputs: dict[str, tuple[str, ...]]
    strides: tuple[int, ...] = (8, 16, 32)
    reg_max: int = 16
    preprocessing: Preprocessing = field(default_factory=Preprocessing)

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)

    @property
    def num_anchors(self) -> int:
        """How many cells all strides have together."""
        height, width = self.input_size
        return sum((height // stride) * (width // stride) for stride in self.strides)

    @property
    def output_names(self) -> tuple[str, ...]:
        """All output names, role by role in the order of `ROLES`."""
        return tuple(name for role in ROLES[self.layout] for name in self.outputs[role])

    def with_names(self, names: tuple[str, ...] | list[str]) -> HeadSpec:
        """Return a copy with other class names.

        Raises
        ------
        EdgeError
            If their number is not the number of classes.
        """
        if len(names) != self.num_classes:
            raise EdgeError(
                f"{len(names)} class names were given for a model with {self.num_classes} "
                "classes: give one name a class, in the order of the training labels."
            )
        return replace(self, class_names=tuple(names))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> HeadSpec:
        """Read what `to_dict` wrote (lists stand for tuples after JSON).

        Raises
        ------
        EdgeError
            If a field is missing, unknown or of the wrong kind.
        """
        try:
            spec = cls(
                **{
                    **values,
                    "class_names": tuple(map(str, values["class_names"])),
                    "input_size": tuple(map(int, values["input_size"])),
                    "outputs": {role: tuple(names) for role, names in values["outputs"].items()},
                    "strides": tuple(map(int, values["strides"])),
                    "preprocessing": Preprocessing(**values["preprocessing"]),
                }
            )
            roles = ROLES[spec.layout]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise EdgeError(f"The head specification is malformed ({error}).") from error
        if set(spec.outputs) != set(roles) or len(spec.input_size) != 2:
            raise EdgeError(
                f"The head specification is malformed (layout {spec.layout!r} needs the outputs "
                f"{', '.join(roles)})."
            )
        return spec

    def to_json(self) -> str:
        """Return the specification as JSON."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, text: str) -> HeadSpec:
        """Read what `to_json` wrote.

        Raises
        ------
        EdgeError
            If the text is no head specification.
        """
        try:
            values = json.loads(text)
        except ValueError as error:
            raise EdgeError(f"The head specification is not JSON ({error}).") from error
        return cls.from_dict(values)
