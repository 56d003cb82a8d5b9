"""The cross-section of a street."""

from __future__ import annotations

from typing import NamedTuple


class Plan(NamedTuple):
    """Widths in metres, from the middle of the street.

    Attributes
    ----------
    lanes : in each direction.
    lane : width of one.
    road, walls : where the road ends, and where the facades stand.
    parking : whether cars park along both kerbs.
    side : 1 where one drives on the right, -1 on the left.
    """

    lanes: int
    lane: float
    road: float
    walls: float
    parking: bool
    side: float
