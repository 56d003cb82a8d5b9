from __future__ import annotations

import pytest

from edge_sdk.runtime.backoff import Backoff


@pytest.mark.parametrize(("chance", "share"), [(0.0, 1.0), (1.0, 0.5), (0.5, 0.75)])
def test_waits_double_to_the_longest_and_begin_again(chance: float, share: float) -> None:
    backoff = Backoff(1, 10, lambda: chance)
    waits = [1, 2, 4, 8, 10, 10]
    assert [backoff.next() for _ in waits] == [wait * share for wait in waits]
    backoff.reset()
    assert backoff.next() == share


def test_two_that_were_lost_together_come_back_apart() -> None:
    assert Backoff().next() != Backoff().next()
