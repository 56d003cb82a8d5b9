from __future__ import annotations

import numpy as np
import pytest

from edge_sdk.detections import Detections
from edge_sdk.drawing import colour_of

pytest.importorskip("cv2")


def detections(*boxes: tuple[float, ...], class_ids: tuple[int, ...] = (0, 1)) -> Detections:
    count = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(count, 4),
        np.linspace(0.9, 0.5, count, dtype=np.float32),
        np.array(class_ids[:count], np.int32),
        ("a car", "a truck"),
    )


def test_every_class_has_a_colour_of_its_own() -> None:
    colours = [colour_of(number) for number in range(80)]
    assert len(set(colours)) == 80
    assert all(0 <= value <= 255 for colour in colours for value in colour)
    assert colours[7] == colour_of(7)


def test_box_is_drawn_in_its_colour_with_a_label_above() -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    found = detections((100, 80, 200, 160), class_ids=(1,))
    assert found.draw(image) is image
    assert tuple(image[120, 100]) == colour_of(1)
    assert tuple(image[160, 150]) == colour_of(1)
    assert not image[110:150, 110:190].any()
    assert image[60:78, 100:150].any()
    assert not image[:50].any()


def test_label_stays_in_the_picture() -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    detections((290, 0, 300, 20), class_ids=(0,)).draw(image)
    assert image[4:16, 220:280].any()


@pytest.mark.parametrize("size", [(1, 1), (4, 900), (900, 4)])
def test_any_size_and_number_is_drawn(size: tuple[int, int]) -> None:
    image = np.zeros((*size, 3), np.uint8)
    detections().draw(image)
    assert not image.any()
    detections((0, 0, 1, 1), (0, 0, size[1], size[0])).draw(image)
    assert image.any()
