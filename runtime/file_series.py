"""Files written one after the other, so that what runs for months fits on its disk.

seen.mp4                      one file, and seen-2.mp4 and so on beside it where one is not enough
seen.mp4?every=600&keep=144   a new file after ten minutes, named by its beginning in UTC, as
                              seen-20261129T081500Z.mp4 is; the newest 144 stay, those of earlier
                              runs counted
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from itertools import count
from pathlib import Path
from time import perf_counter

from edge_sdk.errors import EdgeError
from edge_sdk.runtime.log import log
from edge_sdk.runtime.sources.uri import Options, parse_uri, positive, reads

_STAMP = "%Y%m%dT%H%M%SZ"
_ANY_STAMP = r"-[0-9]{8}T[0-9]{6}Z"


class FileSeries:
    """Names of files, the time each is written for, and the end of the oldest.

    Parameters
    ----------
    address : a path; with `?every=SECONDS`, at least 1, one for many files, and with `keep=N` for
        no more than the newest N.

    Attributes
    ----------
    path : the path alone.

    Raises
    ------
    EdgeError
        If an option is unknown or has an impossible value.
    """

    def __init__(self, address: Path | str) -> None:
        uri = parse_uri(str(address))
        options, rest = uri.take_options(_OPTIONS)
        if rest.query:
            raise EdgeError(
                f"{uri.name}: unknown option {rest.query!r}; known here: {', '.join(_OPTIONS)}."
            )
        self.path = Path(rest.text)
        self._every: float | None = options.get("every")
        self._keep: int | None = options.get("keep")
        if self._keep and not self.divided:
            raise EdgeError(f"{uri.name}: `keep` needs `every`, the seconds of a file.")
        self._begun: dict[int, float] = {}

    @property
    def divided(self) -> bool:
        """Whether there is a new file every so often."""
        return self._every is not None

    def begin(self, number: int = 1) -> Path:
        """Return the path of a new file; of a divided series, remove the files it replaces.

        Parameters
        ----------
        number : 1 for the first file, or row of files; others stand in the name.
        """
        row = f"-{number}" if number > 1 else ""
        if not self.divided:
            return self._named(row)
        self._begun[number] = perf_counter()
        if self._keep:
            self._remove_oldest(row, self._keep - 1)
        now = datetime.now(timezone.utc)
        moments = (now + timedelta(seconds=later) for later in count())
        names = (self._named(f"{row}-{moment.strftime(_STAMP)}") for moment in moments)
        return next(path for path in names if not path.exists())

    def replaced(self) -> Iterator[Path]:
        """Yield the files there that it may write over or remove."""
        if self._keep or not self.divided:
            yield from self._there(r"(-\d+)?")

    def over(self, number: int = 1) -> bool:
        """Tell whether it is time for the next file."""
        return self._every is not None and perf_counter() - self._begun[number] >= self._every

    def _named(self, end: str) -> Path:
        return self.path.with_name(self.path.stem + end + self.path.suffix)

    def _remove_oldest(self, row: str, left: int) -> None:
        for path in sorted(self._there(row))[: -left or None]:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                log.warning("%s is kept, as it cannot be removed: %s", path, error.strerror)

    def _there(self, row: str) -> Iterator[Path]:
        """Yield the files of rows, a pattern, whichever run wrote them."""
        stem, suffix = map(re.escape, (self.path.stem, self.path.suffix))
        name = re.compile(f"{stem}{row}{_ANY_STAMP if self.divided else ''}{suffix}")
        yield from (path for path in self.path.parent.glob("*") if name.fullmatch(path.name))


@reads("seconds, 1 or more")
def _seconds(text: str) -> float:
    seconds = float(positive(text))
    if seconds < 1:
        raise ValueError(text)
    return seconds


@reads("a whole number from 1 on")
def _number(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


_OPTIONS: Options = {"every": _seconds, "keep": _number}
