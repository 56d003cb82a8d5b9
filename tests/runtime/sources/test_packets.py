from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count, islice
from types import SimpleNamespace
from typing import Any

import pytest

from edge_sdk.runtime.sources.packets import LONG, ROOM, PacketReader


def container(
    packets: Any, *, intra: bool = True, name: str = "mpjpeg", duration: int | None = None
) -> SimpleNamespace:
    """What PyAV gives, of packets that a test makes."""
    codec = SimpleNamespace(codec=SimpleNamespace(intra_only=intra))
    stream = SimpleNamespace(codec_context=codec, average_rate=20)
    made = SimpleNamespace(
        format=SimpleNamespace(name=name), duration=duration, demux=lambda stream: packets,
        streams=SimpleNamespace(video=[stream]), closed=0,
    )  # fmt: skip

    def close() -> None:
        made.closed += 1

    made.close = close
    return made


def packets(keys: str) -> list[SimpleNamespace]:
    return [SimpleNamespace(is_keyframe=key == "K", number=i) for i, key in enumerate(keys)]


def read_late(made: Any, *, skips: bool = True) -> tuple[list[Any], PacketReader]:
    """Read once everything has arrived: a decoder that was busy."""
    reader = PacketReader(lambda: made, skips=skips, timeout=5)
    assert reader.open()
    deadline = time.monotonic() + 5
    while not reader._done and time.monotonic() < deadline and skips:
        time.sleep(0.005)
    numbers = [packet and packet.number for packet in reader]
    reader.close()
    return numbers, reader


def test_only_the_newest_waits_where_each_stands_for_itself() -> None:
    assert read_late(container(packets("KKKKK")))[0] == [4]


def test_a_little_may_wait_where_packets_need_each_other() -> None:
    numbers, reader = read_late(container(packets("K........"), intra=False))
    assert numbers == list(range(9))
    numbers, reader = read_late(container(packets("K......K......K..."), intra=False))
    assert numbers == list(range(14, 18))
    assert reader.skipped == 14


def test_missing_packets_are_told_where_nothing_stands_for_itself() -> None:
    numbers, reader = read_late(container(packets("K" + "." * 10 * LONG), intra=False))
    assert numbers == [None]
    assert reader.skipped == 10 * LONG + 1


@pytest.mark.parametrize(
    ("skips", "name", "duration"), [(False, "mpjpeg", None), (True, "hls", None), (True, "avi", 9)]
)
def test_nothing_is_skipped_of_recordings_or_unasked(
    skips: bool, name: str, duration: int | None
) -> None:
    """And what waits is bounded: the network waits then."""
    given: list[int] = []

    def endless() -> Iterator[Any]:
        for number in count():
            given.append(number)
            yield SimpleNamespace(is_keyframe=True, number=number)

    reader = PacketReader(
        lambda: container(endless(), name=name, duration=duration), skips=skips, timeout=5
    )
    assert reader.open()
    time.sleep(0.05)
    assert len(given) <= ROOM + 1
    assert [p.number for p in islice(reader, 100)] == list(range(100))
    assert reader.skipped == 0
    reader.close()


def test_errors_come_after_what_was_read_and_the_stream_is_closed() -> None:
    def broken() -> Iterator[Any]:
        yield from packets("KK")
        raise OSError("lost")

    made = container(broken())
    reader = PacketReader(lambda: made, skips=False, timeout=5)
    assert reader.open()
    read = iter(reader)
    assert [next(read).number, next(read).number] == [0, 1]
    with pytest.raises(OSError, match="lost"):
        next(read)
    reader.close()
    reader._thread.join(5)
    assert made.closed == 1


def test_packet_after_a_silence_ends_it() -> None:
    """An interrupted read gives what was left of the last ones; the next would wait as long."""

    def silent() -> Iterator[Any]:
        yield from packets("KK")
        time.sleep(0.2)
        yield from packets("K")
        raise AssertionError("read again")

    reader = PacketReader(lambda: container(silent()), skips=False, timeout=0.2)
    assert reader.open()
    read = iter(reader)
    assert [next(read).number, next(read).number] == [0, 1]
    with pytest.raises(TimeoutError):
        next(read)
    reader.close()


def test_packets_tell_when_they_came() -> None:
    reader = PacketReader(lambda: container(packets("KK")), skips=False, timeout=5)
    assert reader.open()
    time.sleep(0.1)
    for _ in reader:
        assert time.perf_counter() - reader.arrived >= 0.1
    reader.close()


def test_closing_while_it_connects_waits_for_nobody() -> None:
    made = container([])

    def slow() -> Any:
        time.sleep(0.3)
        return made

    reader = PacketReader(slow, skips=True, timeout=5)
    reader.close()
    start = time.perf_counter()
    assert not reader.open()
    assert time.perf_counter() - start < 0.2
    reader._thread.join(5)
    assert made.closed == 1
