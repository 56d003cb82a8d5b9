from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest

from edge_sdk.datasets import image_size as module
from edge_sdk.datasets.image_size import image_size
from edge_sdk.errors import EdgeError
from edge_sdk.images import read_image


def exif(orientation: int, order: str) -> bytes:
    """An EXIF segment of two entries, the second of which is the orientation."""
    mark = b"II" if order == "<" else b"MM"
    tiff = mark + struct.pack(order + "HIH", 42, 8, 2)
    tiff += struct.pack(order + "HHIHxx", 0x0100, 3, 1, 5)
    tiff += struct.pack(order + "HHIHxx", 0x0112, 3, 1, orientation)
    body = b"Exif\0\0" + tiff + struct.pack(order + "I", 0)
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


@pytest.fixture
def jpeg() -> bytes:
    return cv2.imencode(".jpg", np.zeros((30, 40, 3), np.uint8))[1].tobytes()


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "webp", "tiff"])
def test_formats(tmp_path, image, suffix):
    assert image_size(image(tmp_path / f"a.{suffix}")) == (30, 40)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_the_common_ones_are_not_decoded(tmp_path, image, suffix, monkeypatch):
    path = image(tmp_path / f"a.{suffix}")
    monkeypatch.setattr("edge_sdk.images.read_image", None)
    assert image_size(path) == (30, 40)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_has_the_size_it_is_read_with(tmp_path, jpeg, orientation, order):
    path = tmp_path / "turned.jpg"
    path.write_bytes(jpeg[:2] + exif(orientation, order) + jpeg[2:])
    assert image_size(path) == read_image(path).shape[:2]


def test_a_broken_exif_falls_back_on_decoding(tmp_path, jpeg):
    path = tmp_path / "odd.jpg"
    path.write_bytes(jpeg[:2] + b"\xff\xe1\x00\x0aExif\0\0II" + jpeg[2:])
    assert image_size(path) == (30, 40)


@pytest.mark.parametrize("content", [b"", b"no image", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_image_is_named(tmp_path, content):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(EdgeError, match=r"a\.jpg"):
        image_size(tmp_path / "a.jpg")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(EdgeError, match=r"Cannot read .*a\.jpg"):
        module.image_size(tmp_path / "a.jpg")
