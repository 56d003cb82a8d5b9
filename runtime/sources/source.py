"""What every source of frames is to the rest of the runtime."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from types import TracebackType

import numpy as np
import numpy.typing as npt

from edge_sdk.runtime.sources.uri import Region


@dataclass(frozen=True)
class Frame:
    """One picture of a source.

    Attributes
    ----------
    image : BGR uint8 [H, W, 3].
    index : its number in the source, from 0.
    timestamp : seconds since the first frame: by the clock for a live source, as a video file
        tells them, else by `fps`.
    source : where it comes from.
    """

    image: npt.NDArray[np.uint8]
    index: int
    timestamp: float
    source: Source


class Source(ABC):
    """An iterable of frames, to be read by one thread at a time and closed.

    A live source is connected when it is read, not when it is opened, and may be read again
    after it failed: its frames are numbered on.

    Attributes
    ----------
    name : the URI that it was opened with, without credentials.
    live : frames come when they come; whoever is late misses them.
    fps : frames a second: a file's own, or what the camera promises.
    files : what it reads from the disk.
    frames : how many it says it has; None where it does not say or has no end.
    damaged : pictures that came incomplete and were not given away.
    skips : a live source may leave out what there is no time to decode; else it waits.
    skipped : pictures that were left out so.
    waited : seconds since the last picture came, as far as is known: it may have had to wait
        until it was decoded. Zero where pictures are made when they are asked for.
    max_fps : frames a second to look at, at most; None for all.
    region : the part of the frames to look at; None for all.
    """

    live = False
    files: Sequence[Path] = ()
    frames: int | None = None
    damaged = skipped = 0
    waited = 0.0
    skips = False
    max_fps: float | None = None
    region: Region | None = None

    def __init__(self, name: str, fps: float) -> None:
        self.name = name
        self.fps = fps
        self._index = 0
        self._start: float | None = None

    def __iter__(self) -> Iterator[Frame]:
        if not self.live:
            self._index = 0
        for image in self._images():
            now = perf_counter()
            if self._start is None:
                self._start = now
            index, self._index = self._index, self._index + 1
            yield Frame(image, index, now - self._start if self.live else self._time(index), self)

    @abstractmethod
    def _images(self) -> Iterator[npt.NDArray[np.uint8]]: ...

    def _time(self, index: int) -> float:
        """Return when the picture that `_images` has given is to be seen, if it is no camera's."""
        return index / self.fps

    def close(self) -> None:  # noqa: B027 (most sources hold nothing)
        """Let go of the device or file; any thread may ask for it, any number of times."""

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
