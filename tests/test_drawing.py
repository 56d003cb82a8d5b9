from __future__ import annotations

import numpy as np
import pytest

from edge_sdk.detections import Detections
from edge_sdk.drawing import colour_of
from edge_sdk.errors import EdgeError

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


def test_what_cannot_be_drawn_onto_is_refused() -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    fixed = image.copy()
    fixed.flags.writeable = False
    for wrong in (image[::-1], image[:, ::-1], image[..., ::-1], image[:, ::2], fixed):
        with pytest.raises(EdgeError, match="cannot be drawn onto an array that is read-only"):
            detections((10, 20, 50, 50)).draw(wrong)
    for no_image in (image[..., 0], image.astype(float), None):
        with pytest.raises(EdgeError, match="are drawn onto a uint8 array"):
            detections((10, 20, 50, 50)).draw(no_image)  # type: ignore[arg-type]
    assert detections((10, 20, 50, 50)).draw(image[5:, 10:70]).any()


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
