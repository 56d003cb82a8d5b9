"""On the device: numpy and one engine library, from a camera to detections."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_sdk.runtime.backends import open_engine
    from edge_sdk.runtime.detector import Detector, StageTimes
    from edge_sdk.runtime.pipeline import Pipeline
    from edge_sdk.runtime.result import Result
    from edge_sdk.runtime.sinks import open_sink
    from edge_sdk.runtime.sources import Frame, Source, open_source
    from edge_sdk.runtime.streaming import stream
    from edge_sdk.runtime.summary import Summary
    from edge_sdk.runtime.tracker import Tracker

_HOMES = {
    "Detector": "edge_sdk.runtime.detector",
    "Frame": "edge_sdk.runtime.sources",
    "Pipeline": "edge_sdk.runtime.pipeline",
    "Result": "edge_sdk.runtime.result",
    "Source": "edge_sdk.runtime.sources",
    "StageTimes": "edge_sdk.runtime.detector",
    "open_engine": "edge_sdk.runtime.backends",
    "open_sink": "edge_sdk.runtime.sinks",
    "open_source": "edge_sdk.runtime.sources",
    "Summary": "edge_sdk.runtime.summary",
    "Tracker": "edge_sdk.runtime.tracker",
    "stream": "edge_sdk.runtime.streaming",
}

__all__ = [
    "Detector", "Frame", "Pipeline", "Result", "Source", "StageTimes", "Summary", "Tracker",
    "open_engine", "open_sink", "open_source", "stream",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
