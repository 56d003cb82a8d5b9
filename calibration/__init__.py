"""Offline: representative images in, the ranges of every tensor that may be quantized out.

`calibrate` runs the float model once over the images and keeps a histogram of each tensor;
`Calibration.quantization_table` turns the histograms into one scale a tensor.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_sdk.calibration.calibration import Calibration
    from edge_sdk.calibration.collection import calibrate

_HOMES = {
    "Calibration": "edge_sdk.calibration.calibration",
    "calibrate": "edge_sdk.calibration.collection",
}

__all__ = ["Calibration", "calibrate"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
