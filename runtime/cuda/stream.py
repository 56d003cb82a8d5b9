"""Streams, events and graphs: the order in which a GPU does its work. A context must be current."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from edge_sdk.runtime.cuda.driver import CudaError, call, driver

SETUP = threading.RLock()
"""Held while work is captured, and while something is made that may wait for the whole context:
that is forbidden as long as any stream is captured, and ends the capture."""

_NON_BLOCKING = 0x1  # CU_STREAM_NON_BLOCKING: it does not wait for the default stream
_SLEEPING = 0x1  # CU_EVENT_BLOCKING_SYNC
_WITHOUT_TIMING = 0x2  # CU_EVENT_DISABLE_TIMING


class Stream:
    """Work that is done one after the other, beside that of other streams."""

    def __init__(self) -> None:
        self._mark = Event()
        try:
            self.handle = int(call("cuStreamCreate", _NON_BLOCKING))
        except BaseException:
            self._mark.close()
            raise

    def synchronize(self) -> None:
        """Wait until everything in it is done.

        The thread sleeps, where the driver's own way would keep a core busy that cameras need.
        """
        self._mark.record(self)
        self._mark.wait()

    def wait(self, event: Event) -> None:
        """Let what follows in this stream begin after an event of another one."""
        call("cuStreamWaitEvent", self.handle, event.handle, 0)

    def wait_for(self, other: int) -> None:
        """Let what follows begin after what the stream with this handle has been given so far."""
        event = Event()
        try:
            event.record(other)
            self.wait(event)
        finally:
            event.close()  # the driver keeps what is still waited for

    def close(self) -> None:
        """Give the stream back."""
        handle, self.handle = self.handle, 0
        if handle:
            self._mark.close()
            call("cuStreamDestroy", handle)


class Event:
    """A mark in a stream."""

    def __init__(self, timing: bool = False) -> None:
        kind = _SLEEPING if timing else _SLEEPING | _WITHOUT_TIMING
        self.handle = int(call("cuEventCreate", kind))

    def record(self, stream: Stream | int) -> None:
        """Set the mark behind what the stream has been given so far."""
        handle = stream.handle if isinstance(stream, Stream) else stream
        call("cuEventRecord", self.handle, handle)

    def wait(self) -> None:
        """Sleep until what is before the mark is done; other threads of Python run meanwhile."""
        call("cuEventSynchronize", self.handle)

    def milliseconds_since(self, earlier: Event) -> float:
        """Return the GPU's time between two marks that it has passed, made with `timing`."""
        return float(call("cuEventElapsedTime", earlier.handle, self.handle))

    def close(self) -> None:
        """Give the event back."""
        handle, self.handle = self.handle, 0
        if handle:
            call("cuEventDestroy", handle)


class Graph:
    """A piece of work that was recorded once and is launched as a whole."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    @classmethod
    def capture(cls, stream: Stream, work: Callable[[], None]) -> Graph:
        """Record what `work` puts into a stream; nothing of it is done yet.

        Raises
        ------
        EdgeError
            If something of it cannot be recorded; the stream is then as before.
        """
        mode = driver().CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        with SETUP, _without_collection():
            call("cuStreamBeginCapture", stream.handle, mode)
            try:
                work()
            except BaseException:
                _abandon(stream)
                raise
            recorded = call("cuStreamEndCapture", stream.handle)
        try:
            return cls(int(call("cuGraphInstantiate", recorded, 0)))
        finally:
            call("cuGraphDestroy", recorded)

    def launch(self, stream: Stream) -> None:
        """Do the work."""
        call("cuGraphLaunch", self._handle, stream.handle)

    def close(self) -> None:
        """Forget the work."""
        handle, self._handle = self._handle, 0
        if handle:
            call("cuGraphExecDestroy", handle)


@contextmanager
def _without_collection() -> Iterator[None]:
    """Let no garbage be collected: memory of the GPU that is freed so would end a capture."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _abandon(stream: Stream) -> None:
    """End a capture that failed."""
    with suppress(CudaError):  # it may have ended by its own failure
        call("cuGraphDestroy", call("cuStreamEndCapture", stream.handle))
