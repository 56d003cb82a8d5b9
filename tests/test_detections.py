from __future__ import annotations

import numpy as np
import pytest

from edge_sdk.detections import Detection, Detections


def two() -> Detections:
    return Detections(
        np.array([[1, 2, 30, 40], [5, 6, 7, 8]], np.float32), np.array([0.75, 0.5], np.float32),
        np.array([1, 0], np.int32), ("cat", "dog"),
    )  # fmt: skip


def test_they_are_a_sequence_of_objects() -> None:
    found = two()
    assert list(found) == [found[0], found[1]]
    assert found[-1] == Detection((5.0, 6.0, 7.0, 8.0), 0.5, 0, "cat")
    with pytest.raises(IndexError):
        found[2]


def test_equal_ones_are_equal() -> None:
    assert two() == two()
    assert two() != two().above(0.6)
    assert two() != two().shifted(1, 0)
    assert two() != [*two()]
