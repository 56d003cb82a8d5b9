from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from edge_sdk.head_spec import Preprocessing
from edge_sdk.runtime.letterbox import Letterbox
from edge_sdk.training.augmentation import NONE, Augmentation, Placer

SIZE = (128, 192)
PLAIN = Preprocessing()


def picture(box: tuple[int, int, int, int]) -> npt.NDArray[np.uint8]:
    image = np.full((200, 260, 3), 40, np.uint8)
    image[box[1] : box[3], box[0] : box[2]] = (30, 30, 220)
    return image


def place(
    augmentation: Augmentation, box: tuple[int, int, int, int], seed: int = 0,
    preprocessing: Preprocessing = PLAIN,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32], npt.NDArray[np.int32]]:  # fmt: skip
    placer = Placer(preprocessing, SIZE, augmentation)
    boxes = np.array([box], np.float32)
    return placer(picture(box), boxes, np.array([3], np.int32), np.random.default_rng(seed))


@pytest.mark.parametrize(
    "preprocessing", [PLAIN, replace(PLAIN, margin=4), replace(PLAIN, placement="top_left")]
)
def test_unchanged_it_is_the_letterbox_of_the_runtime(preprocessing: Preprocessing) -> None:
    random = np.random.default_rng(0)
    coarse = random.integers(0, 255, (10, 13, 3), np.uint8)
    image = np.kron(coarse, np.ones((20, 20, 1), np.uint8))
    canvas, boxes, _ = Placer(preprocessing, SIZE, NONE)(
        image, np.array([[20, 40, 120, 160]], np.float32), np.zeros(1, np.int32), random
    )
    expected = np.empty((3, *SIZE), np.uint8)
    placement = Letterbox(preprocessing, SIZE)(image, expected)
    difference = np.abs(canvas.astype(int) - expected.transpose(1, 2, 0))
    assert difference.mean() < 1.5
    assert np.quantile(difference, 0.9) <= 2
    np.testing.assert_allclose(placement.to_frame(boxes), [[20, 40, 120, 160]], atol=1e-3)


@pytest.mark.parametrize("seed", range(8))
def test_boxes_follow_the_pixels(seed: int) -> None:
    moved = Augmentation(hue=0, saturation=0, brightness=0, flip=0.5, zoom=0.5, shift=0.2)
    canvas, boxes, class_ids = place(moved, (60, 50, 150, 120), seed)
    red = (canvas[..., 0] > 150) & (canvas[..., 1] < 60)
    rows, columns = np.flatnonzero(red.any(axis=1)), np.flatnonzero(red.any(axis=0))
    extent = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    np.testing.assert_allclose(boxes[0], extent, atol=1)
    assert class_ids.tolist() == [3]


def test_a_flip_mirrors() -> None:
    _, straight, _ = place(NONE, (60, 50, 150, 120))
    _, mirrored, _ = place(replace(NONE, flip=1.0), (60, 50, 150, 120))
    np.testing.assert_allclose(mirrored[0, [0, 2]], SIZE[1] - straight[0, [2, 0]], atol=1e-4)
    np.testing.assert_allclose(mirrored[0, [1, 3]], straight[0, [1, 3]], atol=1e-4)


def test_colours_change_but_not_those_of_the_padding() -> None:
    box = (60, 50, 150, 120)
    plain, _, _ = place(NONE, box)
    changed, _, _ = place(replace(NONE, hue=0.1, saturation=0.5, brightness=0.4), box, seed=1)
    top_left = plain[0, 0]
    assert top_left.tolist() == changed[0, 0].tolist() == [114] * 3
    assert np.abs(plain.astype(int) - changed).max() > 10


def test_channels_stand_in_the_order_of_the_network() -> None:
    box = (0, 0, 260, 200)
    rgb, _, _ = place(NONE, box)
    bgr, _, _ = place(NONE, box, preprocessing=replace(PLAIN, channel_order="bgr"))
    assert rgb[64, 96].tolist() == [220, 30, 30]
    assert bgr[64, 96].tolist() == [30, 30, 220]


def test_what_became_too_small_is_left_out() -> None:
    assert len(place(NONE, (60, 50, 62, 120))[1]) == 0
    assert len(place(NONE, (60, 50, 66, 120))[1]) == 1


def test_the_same_chance_gives_the_same_picture() -> None:
    box = (60, 50, 150, 120)
    first, second = place(Augmentation(), box, 5), place(Augmentation(), box, 5)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[0], place(Augmentation(), box, 6)[0])
