"""Detector families, one file each: how to recognize their outputs, as a `HeadSpec`.

A family is a module with `OUTPUTS` (what it looks for, in words) and
`match(signature, names) -> HeadSpec | None`. Adding one is a file and a line here.
"""

from __future__ import annotations

from collections.abc import Sequence

from edge_sdk.converters.heads import yolo_nas, yolov8, yolox
from edge_sdk.converters.heads.signature import Signature, check_input_size
from edge_sdk.errors import EdgeError
from edge_sdk.head_spec import HeadSpec

FAMILIES = {"yolo_nas": yolo_nas, "yolox": yolox, "yolov8": yolov8}


def recognize(
    signature: Signature, head: str | None = None, names: Sequence[str] | None = None
) -> HeadSpec:
    """Return the contract of a model, from its outputs.

    Parameters
    ----------
    signature : input and outputs.
    head : a family, for those outputs that fit several or none; by default all are tried.
    names : one name a class; by default those of COCO for 80 classes, else "class 0", ...

    Raises
    ------
    EdgeError
        If the family is unknown, the outputs fit none, or the number of names does not fit.
    """
    if head is not None and head not in FAMILIES:
        raise EdgeError(f"There is no head {head!r}: choose one of {', '.join(FAMILIES)}.")
    check_input_size(signature.input_size)
    for family in [head] if head else FAMILIES:
        spec: HeadSpec | None = FAMILIES[family].match(signature, names)
        if spec is not None:
            return spec
    shapes = ", ".join(f"{name} {list(shape)}" for name, shape in signature.outputs.items())
    wanted = head or "any --head"
    choices = "; ".join(f"{name}: {module.OUTPUTS}" for name, module in FAMILIES.items())
    raise EdgeError(
        f"The outputs of the model ({shapes}) do not fit {wanted}: "
        f"choose the right --head or export the model with such outputs ({choices})."
    )
