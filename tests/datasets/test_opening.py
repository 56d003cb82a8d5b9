from __future__ import annotations

import numpy as np
import pytest

from edge_sdk.datasets import open_dataset
from edge_sdk.errors import EdgeError


def test_a_missing_path(tmp_path):
    with pytest.raises(EdgeError, match="nowhere does not exist"):
        open_dataset(tmp_path / "nowhere")


def test_a_folder_of_nothing(tmp_path):
    with pytest.raises(EdgeError, match="is no data set that is understood"):
        open_dataset(tmp_path)


def test_the_test_camera():
    data = open_dataset("test://street?seed=3&size=160x96&frames=5")
    assert (len(data), data.split, data.names[0]) == (5, "val", "car")
    read, unread = data.images[4], open_dataset(data.source).images[4]
    assert read.read().shape == (96, 160, 3)
    np.testing.assert_array_equal(read.boxes, unread.boxes)
    np.testing.assert_array_equal(read.read(), unread.read())


def test_splits_of_the_test_camera_differ_and_the_address_wins():
    base = "test://street?seed=3&size=160x96&frames=1"
    images = {split: open_dataset(base, split).images[0].read() for split in ("train", "val")}
    assert (images["train"] != images["val"]).any()
    assert open_dataset(base + "&split=train", "val").split == "train"
    with pytest.raises(EdgeError, match="no split 'test'; there: calibration, train, val"):
        open_dataset(base, "test")


def test_a_malformed_address():
    with pytest.raises(EdgeError, match="colour"):
        open_dataset("test://street?colour=red")
