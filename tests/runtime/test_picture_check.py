from __future__ import annotations

from time import perf_counter

import numpy as np
import numpy.typing as npt

from edge_sdk.runtime.picture_check import BLACK, FROZEN, PictureCheck

RNG = np.random.default_rng(0)


def noisy(level: int) -> npt.NDArray[np.uint8]:
    return (level + RNG.integers(0, 5, (90, 160, 3))).astype(np.uint8)


def test_picture_that_repeats_itself_is_frozen_until_it_changes() -> None:
    check, still = PictureCheck(), noisy(100)
    assert [check(still, now) for now in (1.0, FROZEN, 1 + FROZEN, 2 + FROZEN)] == [
        "", "", "frozen", "frozen",
    ]  # fmt: skip
    assert check(noisy(100), 3 + FROZEN) == ""
    assert (check.frozen, check.black) == (1, 0)


def test_picture_without_light_is_black_until_there_is_some() -> None:
    check = PictureCheck()
    found = [check(noisy(16), now) for now in (5.0, 5 + BLACK / 2, 5 + BLACK)]
    found += [check(noisy(30), 6 + BLACK)]
    assert found == ["", "", "black", ""]
    assert (check.frozen, check.black) == (0, 1)


def test_one_bright_thing_in_the_night_is_not_black() -> None:
    check = PictureCheck()
    for now in range(20):
        night = noisy(3)
        night[30:50, 60:90] = 200
        assert check(night, now) == ""


def test_pictures_smaller_than_the_grid() -> None:
    check = PictureCheck()
    assert check(np.full((1, 3, 3), 90, np.uint8), 0) == ""


def test_looking_takes_less_than_a_hundredth_of_a_frames_time() -> None:
    check, picture = PictureCheck(), np.full((1080, 1920, 3), 90, np.uint8)
    best = min(timed(check, picture) for _ in range(30))
    assert best < 0.01 / 30


def timed(check: PictureCheck, picture: npt.NDArray[np.uint8]) -> float:
    start = perf_counter()
    check(picture, start)
    return perf_counter() - start
