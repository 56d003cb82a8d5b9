"""The names that people give to splits."""

from __future__ import annotations

from collections.abc import Collection

from edge_sdk.errors import EdgeError

ALIASES = (
    ("train", "train2017", "training"),
    ("val", "valid", "val2017", "validation"),
    ("test", "test2017", "testing"),
)


class MissingSplit(EdgeError):
    """A data set has no split of a name."""


def find_split(split: str, present: Collection[str], where: object) -> str:
    """Return the one of `present` that `split` means: itself, or another name of the same.

    Raises
    ------
    MissingSplit
        If it is not there; the message lists those that are.
    """
    if split in present:
        return split
    for group in ALIASES:
        if split in group:
            for alias in group:
                if alias in present:
                    return alias
    there = ", ".join(sorted(present)) or "none"
    raise MissingSplit(f"{where} has no split {split!r}; there: {there}.")
