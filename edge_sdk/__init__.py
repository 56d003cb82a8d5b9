"""Edge SDK: from a QARepVGG-type detector to a hybrid-INT8 engine that streams camera frames.

The verbs of the command line are functions here. They are loaded on first use, so that
importing the package costs nothing on a device that only runs a `Detector`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from edge_sdk.detections import Detection, Detections
from edge_sdk.errors import EdgeError

if TYPE_CHECKING:
    from edge_sdk.calibration import calibrate
    from edge_sdk.converters.convert import convert
    from edge_sdk.deployment import build, deploy, plan
    from edge_sdk.runtime import Detector, stream
    from edge_sdk.runtime.selftest import selftest

_HOMES = {
    "convert": "edge_sdk.converters.convert",
    "calibrate": "edge_sdk.calibration",
    "plan": "edge_sdk.deployment",
    "build": "edge_sdk.deployment",
    "deploy": "edge_sdk.deployment",
    "Detector": "edge_sdk.runtime",
    "selftest": "edge_sdk.runtime.selftest",
    "stream": "edge_sdk.runtime",
}

__all__ = [
    "Detection", "Detections", "Detector", "EdgeError",
    "build", "calibrate", "convert", "deploy", "plan", "selftest", "stream",
]  # fmt: skip
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
