"""Reading packets off the network, whatever the decoder is doing meanwhile.

A thread of its own opens the stream, reads it and closes it: nobody else ever waits for the
network, and no packet waits in a socket and grows old. Where the decoder cannot keep up, what
waits gives way to the newest packet that can be decoded by itself.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

ROOM = 64
"""Packets that may wait where none may be skipped; then the network waits."""

BEHIND = 0.5
"""Seconds of video that may wait where packets need the ones before them."""

LONG = 20
"""Times as much may wait until a packet comes that can be decoded by itself."""


class PacketReader:
    """The packets of the first video stream of what `connect` opens.

    Parameters
    ----------
    connect : opens and returns PyAV's container.
    skips : leave out what the decoder has no time for.
    timeout : seconds after which a packet comes too late: an interrupted read gives the last one
        of those that had come, and another read would wait as long again.

    Attributes
    ----------
    container, stream : once `open` has returned; until `close`.
    paced : the stream is a recording, or comes in bursts: it has to be played at its own pace,
        and nothing of it is skipped.
    skipped : packets left out.
    arrived : when the last packet that was given away had come (`time.perf_counter`).
    """

    def __init__(self, connect: Callable[[], Any], *, skips: bool, timeout: float) -> None:
        self.container: Any = None
        self.stream: Any = None
        self.paced = False
        self.skipped = 0
        self.arrived = 0.0
        self._connect, self._skips, self._timeout = connect, skips, timeout
        self._packets: deque[tuple[Any, float]] = deque()
        self._error: Exception | None = None
        self._opened = self._done = self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="network", daemon=True)
        self._thread.start()

    def open(self) -> bool:
        """Wait until the stream is open; False if it was closed meanwhile.

        Raises whatever `connect` raised.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._opened or self._done or self._closed)
        if self._error is not None and not (self._opened or self._closed):
            raise self._error
        return not self._closed

    def __iter__(self) -> Iterator[Any]:
        """Yield packets until the stream ends or is closed; raise what the network raised.

        A None stands for packets that are missing.
        """
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._packets or self._done or self._closed)
                if self._closed or not self._packets:
                    break
                packet, self.arrived = self._packets.popleft()
                self._changed.notify_all()
            yield packet
        if self._error is not None and not self._closed:
            raise self._error

    def _work(self) -> None:
        try:
            self._read()
        except Exception as error:
            self._error = error
        with self._changed:
            self._done = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closed)
        self._packets.clear()
        if self.container is not None:
            self.container.close()

    def _read(self) -> None:
        self.container = self._connect()
        self.paced = self.container.format.name == "hls" or self.container.duration is not None
        streams = self.container.streams.video
        self.stream = streams[0] if streams else None
        with self._changed:
            self._opened = True
            self._changed.notify_all()
        if self.stream is None:
            return
        room, skips = ROOM, self._skips and not self.paced
        if skips:
            codec = self.stream.codec_context.codec
            rate = float(self.stream.average_rate or 30)
            room = 1 if codec.intra_only else max(4, round(BEHIND * rate))
        before = perf_counter()
        for packet in self.container.demux(self.stream):
            now = perf_counter()
            if now - before >= self._timeout:
                raise TimeoutError
            with self._changed:
                if skips:
                    self._packets.append((packet, now))
                    if len(self._packets) > room:
                        self._catch_up(room)
                else:
                    self._changed.wait_for(lambda: len(self._packets) < room or self._closed)
                    self._packets.append((packet, now))
                self._changed.notify_all()
                if self._closed:
                    return
            before = perf_counter()

    def _catch_up(self, room: int) -> None:
        """Leave out what comes before the newest packet that needs no other.

        Where there is none for long, leave out everything, and say so by a None.
        """
        packets = self._packets
        keys = (i for i, (one, _) in enumerate(packets) if one is not None and one.is_keyframe)
        newest = max(keys, default=0)
        for _ in range(newest):
            packets.popleft()
        self.skipped += newest
        if len(packets) > LONG * room:
            self.skipped += len(packets)
            packets.clear()
            packets.append((None, perf_counter()))

    def close(self) -> None:
        """Let go; the thread does so as soon as the network lets it."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
