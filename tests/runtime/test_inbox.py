from __future__ import annotations

import threading
import time
from time import perf_counter
from typing import Any, cast

from edge_sdk.runtime.inbox import ROOM, Captured, Inbox, Policy
from edge_sdk.runtime.sources import Frame


def captured(camera: int, index: int) -> Captured:
    return Captured(cast(Frame, index), camera, 0.0)


def numbers(inbox: Inbox) -> list[tuple[int, Any]]:
    """Take everything that waits."""
    taken = []
    while (item := inbox.take()) is not None:
        taken.append((item.camera, item.frame))
    return taken


def test_latest_keeps_the_newest_and_counts_the_rest() -> None:
    inbox = Inbox(["latest"])
    assert all(inbox.put(captured(0, index)) for index in range(5))
    inbox.end(0)
    assert numbers(inbox) == [(0, 4)]
    assert (inbox.counts[0].captured, inbox.counts[0].late) == (5, 4)


def test_every_makes_the_camera_wait_and_loses_none() -> None:
    inbox = Inbox(["every"])
    done: list[int] = []

    def camera() -> None:
        for index in range(20):
            inbox.put(captured(0, index))
            done.append(index)
        inbox.end(0)

    thread = threading.Thread(target=camera)
    thread.start()
    time.sleep(0.05)
    assert len(done) == ROOM
    assert numbers(inbox) == [(0, index) for index in range(20)]
    thread.join(5)
    assert inbox.counts[0].late == 0


def test_cameras_take_turns() -> None:
    policies: list[Policy] = ["every", "latest", "every"]
    inbox = Inbox(policies)
    for camera in range(3):
        for index in range(2):
            inbox.put(captured(camera, index))
        inbox.end(camera)
    assert numbers(inbox) == [(0, 0), (1, 1), (2, 0), (0, 1), (2, 1)]


def test_closing_frees_everybody_and_counts_what_is_unread() -> None:
    inbox = Inbox(["every", "every"])
    for index in range(ROOM):
        inbox.put(captured(0, index))
    answers: list[bool] = []
    waiting = threading.Thread(target=lambda: answers.append(inbox.put(captured(0, ROOM))))
    waiting.start()
    time.sleep(0.05)
    inbox.close()
    waiting.join(5)
    assert answers == [False]
    assert inbox.put(captured(1, 0)) is False
    assert inbox.take() is None
    assert [(counts.captured, counts.unread) for counts in inbox.counts] == [
        (ROOM + 1, ROOM + 1),
        (1, 1),
    ]


def test_old_frames_are_not_given_away() -> None:
    inbox = Inbox(["every"], max_staleness=10)
    now = perf_counter()
    for index, age in enumerate((11, 1)):
        inbox.put(Captured(cast(Frame, index), 0, now - age))
    inbox.end(0)
    assert numbers(inbox) == [(0, 1)]
    assert inbox.counts[0].dropped == {
        "late": 0, "stale": 1, "capped": 0, "paused": 0, "failed": 0, "unread": 0,
    }  # fmt: skip


def test_tickets_follow_the_order_of_taking() -> None:
    inbox = Inbox(["every", "every"])
    for camera in (1, 0):
        inbox.put(captured(camera, 5))
    taken = [inbox.take(), inbox.take()]
    assert [(item.camera, item.ticket) for item in taken if item] == [(0, 0), (1, 1)]


def test_paused_inbox_counts_live_frames_and_lets_files_wait() -> None:
    inbox = Inbox(["latest", "every"])
    inbox.put(captured(0, 0))
    inbox.pause(True)
    for index in range(3):
        inbox.put(captured(0, index))
    inbox.put(captured(1, 7))
    inbox.pause(False)
    inbox.end(0)
    inbox.end(1)
    assert numbers(inbox) == [(1, 7)]
    assert (inbox.counts[0].paused, inbox.counts[1].paused) == (4, 0)
    inbox.pause(True)
    assert inbox.take() is None
