"""A result as plain values: what files, webhooks and brokers are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_sdk.runtime.result import Result


def record(result: Result) -> dict[str, Any]:
    """Return what was found, and on which frame.

    `source`, `index`, `timestamp` (seconds), `captured` (seconds since 1970), `age_ms`, `missed`
    (frames dropped since the source's last result) and `detections`, each with a `track_id`
    where objects are followed.
    """
    frame = result.frame
    return {
        "source": frame.source.name,
        "index": frame.index,
        "timestamp": round(frame.timestamp, 4),
        "captured": round(result.captured, 3),
        "age_ms": round(result.age * 1e3, 2),
        "missed": result.missed,
        "detections": result.detections.to_dicts(),
    }
