"""What a stream did, in figures."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from edge_sdk.runtime.inbox import Counts
from edge_sdk.runtime.metrics import Percentiles


@dataclass(frozen=True)
class Summary:
    """What a stream did.

    Attributes
    ----------
    seconds : from the start to the end.
    fps : results a second, between the first and the last; 0 where there are fewer than two.
    counts : camera -> what became of its frames.
    stages : stage -> percentiles in milliseconds, see `camera.STAGES`.
    cameras : camera -> how it is: its state, reconnects, damaged, frozen and black pictures,
        trouble, objects that were given a number, where they are followed, and percentiles of
        its results' age in milliseconds.
    failures : what has failed for good or again and again, one sentence each.
    remarks : what else was odd, one sentence each.
    """

    seconds: float
    fps: float
    counts: dict[str, Counts]
    stages: dict[str, Percentiles]
    cameras: dict[str, dict[str, Any]]
    failures: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def delivered(self) -> int:
        """Results handed over, of all cameras."""
        return sum(counts.delivered for counts in self.counts.values())

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON; stages without a sample are left out."""
        return {
            "seconds": round(self.seconds, 3),
            "fps": round(self.fps, 3),
            "counts": {name: asdict(counts) for name, counts in self.counts.items()},
            "stages_ms": {name: rounded(stage) for name, stage in self.stages.items() if stage.n},
            "cameras": self.cameras,
            "failures": list(self.failures),
            "remarks": list(self.remarks),
        }


def rounded(figures: Percentiles) -> dict[str, float]:
    """Return percentiles as plain values; nothing where there is no sample."""
    return {key: round(value, 3) for key, value in figures._asdict().items()} if figures.n else {}
