import math

import pytest

from edge_sdk.budget import DEFAULT_SHIFT, Budget
from edge_sdk.errors import EdgeError


def test_without_a_limit_the_shift_is_limited() -> None:
    assert Budget().max_shift == DEFAULT_SHIFT
    assert Budget(labels="data").max_shift == DEFAULT_SHIFT
    assert Budget(max_latency=3.0).max_shift is None


def test_it_reads_as_a_sentence() -> None:
    text = str(Budget(max_drop=0.5, labels="data", max_latency=8))
    points = "at most 0.5 points of mAP50-95 lost on data (upper 95 % bound)"
    assert text == f"{points} and at most 8 ms"


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({"max_drop": 1.0}, "--max-drop needs labelled images"),
        ({"max_shift": -0.1}, "--max-shift is -0.1: give a number from 0 on"),
        ({"max_latency": math.nan}, "--max-latency is nan"),
        ({"max_latency": 0.0}, "--max-latency is 0"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(limits: dict[str, float], says: str) -> None:
    with pytest.raises(EdgeError, match=says):
        Budget(**limits)  # type: ignore[arg-type]
