"""YOLOX: one tensor of raw grid predictions, sigmoids applied, offsets and sizes not decoded."""

from __future__ import annotations

from collections.abc import Sequence

from edge_sdk.converters.heads.names import class_names
from edge_sdk.converters.heads.signature import Signature
from edge_sdk.head_spec import HeadSpec, Preprocessing

OUTPUTS = "one tensor [B,N,5+C]"
PREPROCESSING = Preprocessing("bgr", 1.0, "top_left", 114)


def match(signature: Signature, names: Sequence[str] | None = None) -> HeadSpec | None:
    """Return the contract if the output is that of a YOLOX."""
    output = signature.only_output()
    if output is None or output[1][1] != signature.num_anchors or output[1][2] < 6:
        return None
    return HeadSpec(
        family="yolox",
        layout="grid",
        class_names=class_names(output[1][2] - 5, names),
        input_name=signature.input_name,
        input_size=signature.input_size,
        outputs={"predictions": (output[0],)},
        preprocessing=PREPROCESSING,
    )
