"""The result of a detector on one frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import MissingExtra

if TYPE_CHECKING:
    import supervision


class Detection(NamedTuple):
    """One object: box as (x1, y1, x2, y2) in pixels of the frame, score in 0..1."""

    box: tuple[float, float, float, float]
    score: float
    class_id: int
    name: str


@dataclass(frozen=True, eq=False)
class Detections:
    """The objects of one frame, by falling score: a sequence of `Detection`, and arrays of them.

    Attributes
    ----------
    boxes : float32 [N, 4], x1, y1, x2, y2 in pixels of the frame, clipped to it.
    scores : float32 [N], 0..1.
    class_ids : int32 [N], indices into `names`.
    names : the names of all classes of the model.
    track_ids : int32 [N], the numbers of the objects, which stay with them from frame to frame;
        None where nobody follows them.
    """

    boxes: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    class_ids: npt.NDArray[np.int32]
    names: tuple[str, ...]
    track_ids: npt.NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def __iter__(self) -> Iterator[Detection]:
        for box, score, class_id in zip(
            self.boxes.tolist(), self.scores.tolist(), self.class_ids.tolist(), strict=True
        ):
            yield Detection(tuple(box), score, class_id, self.names[class_id])

    def __getitem__(self, index: int) -> Detection:
        class_id = int(self.class_ids[index])
        box, score = self.boxes[index].tolist(), float(self.scores[index])
        return Detection(tuple(box), score, class_id, self.names[class_id])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Detections):
            return NotImplemented
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return all(np.array_equal(mine, theirs) for mine, theirs in pairs)

    __hash__ = None  # type: ignore[assignment]  # arrays may change

    def above(self, score: float) -> Detections:
        """Return the detections that score at least `score`."""
        return self.where(self.scores >= score)

    def where(self, keep: npt.NDArray[np.bool_]) -> Detections:
        """Return the detections for which `keep` [N] is true."""
        ids = None if self.track_ids is None else self.track_ids[keep]
        return Detections(
            self.boxes[keep], self.scores[keep], self.class_ids[keep], self.names, ids
        )

    def shifted(self, right: float, down: float) -> Detections:
        """Return the detections moved by so many pixels."""
        move = np.array([right, down, right, down], np.float32)
        return replace(self, boxes=self.boxes + move)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return plain values, ready for JSON; with `track_id` where objects are followed."""
        values: list[dict[str, Any]] = [
            {
                "box": [round(value, 2) for value in detection.box],
                "score": round(detection.score, 4),
                "class_id": detection.class_id,
                "name": detection.name,
            }
            for detection in self
        ]
        if self.track_ids is not None:
            for value, number in zip(values, self.track_ids.tolist(), strict=True):
                value["track_id"] = number
        return values

    def draw(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Draw boxes and labels onto a BGR image [H, W, 3], in place, and return it.

        Raises
        ------
        EdgeError
            If the image is no such array, or may not be written to.
        MissingExtra
            If OpenCV is not installed.
        """
        from edge_sdk.drawing import draw

        return draw(image, self)

    def to_supervision(self) -> supervision.Detections:
        """Return the same as `supervision.Detections`.

        Raises
        ------
        MissingExtra
            If supervision is not installed.
        """
        try:
            import supervision
        except ImportError as error:
            raise MissingExtra("supervision", "supervision", "Detections.to_supervision") from error
        return supervision.Detections(
            xyxy=self.boxes,
            confidence=self.scores,
            class_id=self.class_ids.astype(int),
            tracker_id=None if self.track_ids is None else self.track_ids.astype(int),
            data={"class_name": np.array([self.names[i] for i in self.class_ids])},
        )
