"""Work for a GPU that is the same every time: recorded once, then launched as a whole."""

from __future__ import annotations

from collections.abc import Callable

from edge_sdk.errors import EdgeError
from edge_sdk.runtime.cuda.resources import Resources
from edge_sdk.runtime.cuda.stream import SETUP, Graph, Stream
from edge_sdk.runtime.log import log


class Replay:
    """Does the work at once, then captures it; what cannot be captured is enqueued each time.

    Parameters
    ----------
    stream : where `work` puts everything.
    work : always with the same addresses and shapes.
    resources : hold the graph.

    Raises
    ------
    EdgeError
        If the work fails.
    """

    def __init__(self, stream: Stream, work: Callable[[], None], resources: Resources) -> None:
        self._stream = stream
        self._work = work
        self._graph: Graph | None = None
        with SETUP:
            self._do()  # libraries set themselves up in their first run, which no capture allows
        try:
            self._graph = resources.keep(Graph.capture(stream, work))
        except EdgeError as error:
            log.info("Inference is launched kernel by kernel, not as a CUDA graph: %s", error)
            self._do()

    @property
    def captured(self) -> bool:
        """Whether one launch does all of it."""
        return self._graph is not None

    def __call__(self) -> None:
        """Put the work into the stream."""
        if self._graph is None:
            self._work()
        else:
            self._graph.launch(self._stream)

    def _do(self) -> None:
        self._work()
        self._stream.synchronize()
