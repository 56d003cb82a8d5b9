"""YOLO-NAS: maps of class logits and distance distributions, or super-gradients' decoded pair."""

from __future__ import annotations

from collections.abc import Sequence

from edge_sdk.converters.heads.names import class_names
from edge_sdk.converters.heads.signature import STRIDES, Signature, check_input_size
from edge_sdk.head_spec import HeadSpec, Preprocessing

OUTPUTS = (
    "class logits [B,C,H/s,W/s] and distances [B,68,H/s,W/s] for s = 8, 16, 32, "
    "or boxes [B,N,4] and scores [B,N,C]"
)
PREPROCESSING = Preprocessing("rgb", 1.0 / 255.0, "center", 114, margin=4)
REG_MAX = 16


def spec(
    num_classes: int,
    input_size: tuple[int, int],
    names: Sequence[str] | None = None,
    *,
    reg_max: int = REG_MAX,
    input_name: str = "images",
    outputs: dict[str, tuple[str, ...]] | None = None,
) -> HeadSpec:
    """Return the contract of a YOLO-NAS that ends in its prediction convolutions.

    Raises
    ------
    EdgeError
        If the input size is not a multiple of 32, or the number of names does not fit.
    """
    check_input_size(input_size)
    return HeadSpec(
        family="yolo_nas",
        layout="dfl",
        class_names=class_names(num_classes, names),
        input_name=input_name,
        input_size=input_size,
        outputs=outputs
        or {
            role: tuple(f"{role}_{stride}" for stride in STRIDES)
            for role in ("classes", "distances")
        },
        strides=STRIDES,
        reg_max=reg_max,
        preprocessing=PREPROCESSING,
    )


def match(signature: Signature, names: Sequence[str] | None = None) -> HeadSpec | None:
    """Return the contract if the outputs are those of a YOLO-NAS."""
    return _maps(signature, names) or _decoded(signature, names)


def _maps(signature: Signature, names: Sequence[str] | None) -> HeadSpec | None:
    """Match six maps; they may stand in any order."""
    height, width = signature.input_size
    distances, classes = [], []
    for stride in STRIDES:
        cells = (height // stride, width // stride)
        here = [
            (name, shape[1])
            for name, shape in signature.outputs.items()
            if len(shape) == 4 and shape[2:] == cells
        ]
        if len(here) != 2:
            return None
        # 68 channels are distances; where both have 68, classes stand first by convention
        here.sort(key=lambda item: item[1] == 4 * (REG_MAX + 1))
        classes.append(here[0])
        distances.append(here[1])
    counts = {channels for _, channels in classes}
    if len(signature.outputs) != 6 or len(counts) != 1:
        return None
    if {channels for _, channels in distances} != {4 * (REG_MAX + 1)}:
        return None
    return spec(
        counts.pop(),
        signature.input_size,
        names,
        input_name=signature.input_name,
        outputs={
            "classes": tuple(name for name, _ in classes),
            "distances": tuple(name for name, _ in distances),
        },
    )


def _decoded(signature: Signature, names: Sequence[str] | None) -> HeadSpec | None:
    """Match boxes and scores; the first is the boxes where both have four columns."""
    anchors = signature.num_anchors
    shapes = signature.outputs
    if len(shapes) != 2 or any(len(s) != 3 or s[1] != anchors for s in shapes.values()):
        return None
    boxes, scores = sorted(shapes, key=lambda name: shapes[name][2] != 4)
    if shapes[boxes][2] != 4:
        return None
    return HeadSpec(
        family="yolo_nas",
        layout="decoded",
        class_names=class_names(shapes[scores][2], names),
        input_name=signature.input_name,
        input_size=signature.input_size,
        outputs={"boxes": (boxes,), "scores": (scores,)},
        preprocessing=PREPROCESSING,
    )
