from __future__ import annotations

import numpy as np

from edge_sdk.runtime.sources.frame_memory import KEPT, FrameMemory


def test_memory_is_used_again_when_nobody_holds_it() -> None:
    memory = FrameMemory()
    addresses = set()
    for _ in range(10):
        array = memory.take((4, 5))
        addresses.add(array.ctypes.data)
        del array
    assert len(addresses) == 1


def test_memory_that_is_held_stays_as_it_is() -> None:
    """By a frame, a view of it, a view of a view, or a buffer of something else."""
    memory = FrameMemory()
    held = []
    for number in range(KEPT + 5):
        array = memory.take((4, 6))
        array[...] = number
        held.append(
            (array, array[1:], array.reshape(4, 2, 3)[..., 0], memoryview(array))[number % 4]
        )
        del array
    assert [int(np.asarray(one).flat[0]) for one in held] == list(range(KEPT + 5))


def test_frames_of_another_size() -> None:
    memory = FrameMemory()
    assert memory.take((2, 3)).shape == (2, 3)
    assert memory.take((4, 3, 3)).shape == (4, 3, 3)
    assert memory.take((2, 3)).shape == (2, 3)
