"""What goes wrong again and again, told once."""

from __future__ import annotations

from collections import Counter

from edge_sdk.errors import EdgeError
from edge_sdk.runtime.sources.uri import redacted

KINDS = 8
"""Different messages that are told; of others, only the number is."""


class Faults:
    """The faults of one sink, or of the detector.

    Attributes
    ----------
    count : of all of them.
    """

    def __init__(self) -> None:
        self.count = 0
        self._kinds: Counter[str] = Counter()

    def add(self, words: str) -> bool:
        """Count a fault; tell whether it is to be told."""
        self.count += 1
        told = words in self._kinds
        if not told and len(self._kinds) == KINDS:
            return False
        self._kinds[words] += 1
        return not told

    def __str__(self) -> str:
        """The messages, the most frequent first, each with its number where there are several."""
        kinds = self._kinds.most_common()
        if kinds and kinds[0][1] == self.count:
            return kinds[0][0]
        texts = [f"{words} ({count})" for words, count in kinds]
        others = self.count - sum(count for _, count in kinds)
        return "; ".join([*texts, *([f"others ({others})"] if others else [])])


def words_of(error: Exception) -> str:
    """Return what to tell of an error, without credentials."""
    words = str(error) if isinstance(error, EdgeError) else repr(error)
    if isinstance(error, OSError) and error.strerror:
        words = error.strerror
        if error.filename is not None:
            words += f": {error.filename}"
    return redacted(words).rstrip(".")
