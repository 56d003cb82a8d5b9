"""Objects that keep their numbers from frame to frame: ByteTrack (Zhang et al. 2022)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edge_sdk.detections import Detections
from edge_sdk.errors import EdgeError
from edge_sdk.runtime.kernels import Follow

STEP = 1 / 30
"""Seconds; the unit that the tracker's speeds are in."""

WEAK = 0.1
"""Scores from which a detection continues a track: of something half hidden, most often."""

STRONG, BEGIN = 1 / 5, 1 / 3
"""How far between `score` and 1 the scores lie that take part in the first round, and that begin
a track. Chosen on the test camera: with `score` itself, half of the tracks were of nothing."""

MEMORY = 1.0
"""Seconds that an object which is not seen keeps its number."""


class Tracker:
    """Follows the objects of one camera, frame after frame.

    A Kalman filter foretells each box, and boxes are matched by their overlap at the least cost
    over the whole frame: strong detections first, then weak ones (ByteTrack's idea) with the
    objects that are left. Frames may be missed, and come at any rate: motion is by the clock.
    At most 1,024 objects are followed, whatever their class; where a detector gives an object two
    classes, the better one counts. For one thread at a time; the GIL is released meanwhile.

    Parameters
    ----------
    score : from which detections count where nobody follows objects, 0..1. Tracks begin with
        better ones (of 0.5 or more by default), and go on with weaker ones.
    memory : seconds that an object which is not seen keeps its number.

    Raises
    ------
    EdgeError
        If a parameter is out of range.

    Examples
    --------
    >>> tracker = Tracker()  # doctest: +SKIP
    >>> for frame in open_source("clip.mp4"):
    ...     found = tracker(detector.timed(frame.image, WEAK)[0], frame.timestamp)
    ...     print(found.track_ids)
    """

    def __init__(self, score: float = 0.25, memory: float = MEMORY) -> None:
        if not 0 <= score <= 1:
            raise EdgeError(f"score is {score}: give 0..1.")
        if not 0 < memory < 1e6:
            raise EdgeError(f"memory is {memory}: give seconds, more than zero.")
        strong, begin = (score + share * (1 - score) for share in (STRONG, BEGIN))
        self._kernel = Follow(strong, begin, min(WEAK, score), memory / STEP)
        self._last: float | None = None

    @property
    def objects(self) -> int:
        """How many objects have been given a number; the numbers begin with 1."""
        return int(self._kernel.last_id)

    def __call__(self, detections: Detections, timestamp: float) -> Detections:
        """Return those detections whose object is known, with its number in `track_ids`.

        Parameters
        ----------
        detections : of the next frame, by falling score; let the weak ones in as well.
        timestamp : of the frame, in seconds; no less than the last frame's.
        """
        steps = 0.0 if self._last is None else max(0.0, timestamp - self._last) / STEP
        self._last = timestamp
        ids = np.zeros(len(detections), np.int32)
        self._kernel.run(
            np.ascontiguousarray(detections.boxes, np.float32),
            np.ascontiguousarray(detections.scores, np.float32),
            steps,
            ids,
        )
        return replace(detections, track_ids=ids).where(ids > 0)
