from __future__ import annotations

import threading
import time
from typing import cast

import numpy as np
import pytest

from edge_sdk.runtime.arrivals import LONGEST, NEAR, SHARE, Arrivals
from edge_sdk.runtime.inbox import Captured, Inbox
from edge_sdk.runtime.sources import Frame


def camera(intervals: list[float]) -> tuple[Arrivals, float]:
    """Return what was learned from frames, and when the last one came."""
    arrivals, now = Arrivals(), 100.0
    arrivals.note(now)
    for interval in intervals:
        now += interval
        arrivals.note(now)
    return arrivals, now


@pytest.mark.parametrize(
    ("phase", "waits"),
    [
        (0.0, False),
        (0.5, False),
        (0.74, False),
        (0.76, True),
        (0.99, True),
        (1.2, True),
        (1.3, False),
    ],
)
def test_frame_that_is_due_is_waited_for(phase: float, waits: bool) -> None:
    arrivals, last = camera([0.04] * 50)
    patience = arrivals.patience(last + phase * 0.04)
    assert (patience > 0) == waits
    assert patience == pytest.approx(NEAR * 0.04 if waits else 0)


def test_slow_camera_keeps_nobody_waiting_for_long() -> None:
    arrivals, last = camera([1.0] * 50)
    assert arrivals.patience(last + 0.8) == 0
    assert 0 < arrivals.patience(last + 0.99) <= LONGEST


def test_outage_is_no_frame_rate() -> None:
    arrivals, last = camera([0.04] * 50 + [600.0])
    assert arrivals.patience(last + 0.036) > 0
    assert arrivals.patience(last + 1) == 0


def test_first_frame_has_no_rate() -> None:
    arrivals, last = camera([])
    assert arrivals.patience(last) == arrivals.patience(last + 1) == 0


def simulate(frame: float, detector: float, seconds: float = 200.0) -> tuple[list[float], float]:
    """Return the ages of frames when they are taken, and the share of time spent waiting."""
    arrivals, now, shown, ages, waited = Arrivals(), 1.0, 0, [], 0.0
    while now < seconds:
        while (shown + 1) * frame <= now:
            shown += 1
            arrivals.note(shown * frame)
        patience = arrivals.patience(now)
        if patience:
            due = (shown + 1) * frame
            then = min(due, now + patience)
            arrivals.spend(then - now)
            waited += then - now
            now = then
            continue
        ages.append(now - shown * frame)
        now += detector
    return ages[20:], waited / seconds


def test_ages_are_lower_for_little_time() -> None:
    ages, waited = simulate(0.04, 0.04 * 2.06)
    assert np.percentile(ages, 99) < 0.77 * 0.04
    assert waited < 0.01
    ages, waited = simulate(0.04, 0.04 * 1.8)  # every result would wait a fifth
    assert waited < 1.1 * SHARE


def put(inbox: Inbox, index: int, camera: int = 0) -> None:
    inbox.put(Captured(cast(Frame, index), camera, time.perf_counter()))


def take_meanwhile(inbox: Inbox, more: tuple[int, int]) -> object:
    """Return which frame is taken if another comes, of a camera, while it is being taken."""
    later = threading.Timer(0.05, put, (inbox, *more))
    later.start()
    item = inbox.take()
    later.join()
    assert item is not None
    return item.frame


def test_inbox_waits_for_the_newer_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    patience = {0: 10.0}
    monkeypatch.setattr(Arrivals, "patience", lambda self, now: patience.pop(0, 0.0))
    inbox = Inbox(["latest", "latest"])
    put(inbox, 1)
    assert take_meanwhile(inbox, (2, 0)) == 2
    patience[0] = 10.0  # a frame of another camera ends the wait, too
    put(inbox, 3)
    assert take_meanwhile(inbox, (4, 1)) == 4
    assert take_meanwhile(inbox, (5, 0)) == 3
    patience[0] = 0.001  # it does not come in time
    assert take_meanwhile(inbox, (6, 0)) == 5
    inbox = Inbox(["every"])
    patience[0] = 10.0
    put(inbox, 7)
    assert take_meanwhile(inbox, (8, 0)) == 7
