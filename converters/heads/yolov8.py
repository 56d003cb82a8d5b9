"""YOLOv8 and its kin: one tensor of decoded boxes and class scores, anchors last."""

from __future__ import annotations

from collections.abc import Sequence

from edge_sdk.converters.heads.names import class_names
from edge_sdk.converters.heads.signature import Signature
from edge_sdk.head_spec import HeadSpec, Preprocessing

OUTPUTS = "one tensor [B,4+C,N]"
PREPROCESSING = Preprocessing("rgb", 1.0 / 255.0, "center", 114)


def match(signature: Signature, names: Sequence[str] | None = None) -> HeadSpec | None:
    """Return the contract if the output is that of a YOLOv8."""
    output = signature.only_output()
    if output is None or output[1][2] != signature.num_anchors or output[1][1] < 5:
        return None
    return HeadSpec(
        family="yolov8",
        layout="boxes",
        class_names=class_names(output[1][1] - 4, names),
        input_name=signature.input_name,
        input_size=signature.input_size,
        outputs={"predictions": (output[0],)},
        preprocessing=PREPROCESSING,
    )
