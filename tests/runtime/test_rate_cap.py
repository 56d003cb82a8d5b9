from __future__ import annotations

import numpy as np
import pytest

from edge_sdk.runtime.rate_cap import RateCap


@pytest.mark.parametrize(
    ("fps", "most", "passed"), [(30, 10, 100), (30, 30, 300), (30, 60, 300), (25, 10, 100)]
)
def test_so_many_a_second_pass_whatever_the_jitter(fps: float, most: float, passed: int) -> None:
    cap = RateCap(most)
    jitter = np.random.default_rng(0).uniform(-0.3, 0.3, int(10 * fps))
    moments = (np.arange(int(10 * fps)) + jitter) / fps
    assert sum(not cap(moment, fps) for moment in moments) == pytest.approx(passed, abs=2)


def test_a_pause_is_not_made_up_for() -> None:
    cap = RateCap(10)
    assert not cap(0, 100)
    assert not cap(60, 100)
    assert [cap(60 + i / 100, 100) for i in range(1, 12)].count(False) <= 2
