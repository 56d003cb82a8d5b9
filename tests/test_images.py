from __future__ import annotations

import base64
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.errors import EdgeError
from edge_sdk.images import list_images, read_image

CMYK_JPEG = base64.b64decode(  # 16 x 16 pixels of R 200, G 40, B 90
    "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwANCQoLCggNCwoLDg4NDxMgFRMSEhMnHB4XIC4pMTAuKS0sMzpKPjM2RjcsLUBX"
    "QUZMTlJTUjI+WmFaUGBKUVJP/8AAFAgAEAAQBEMRAE0RAFkRAEsRAP/EABcAAQEBAQAAAAAAAAAAAAAAAAAGBQf/xAAU"
    "EAEAAAAAAAAAAAAAAAAAAAAA/9oADgRDAE0AWQBLAAA/AKxEsh04AAAB/9k="
)


@pytest.fixture
def picture() -> np.ndarray:
    """A smooth BGR picture of 48 x 64 that looks different in each orientation."""
    noise = np.random.default_rng(0).integers(0, 255, (12, 16, 3), np.uint8)
    return cv2.resize(noise, (64, 48), interpolation=cv2.INTER_LINEAR)


def encoded(picture: np.ndarray, suffix: str = ".png") -> bytes:
    done, data = cv2.imencode(suffix, picture)
    assert done
    return data.tobytes()


def turned_jpeg(picture: np.ndarray, orientation: int) -> bytes:
    """A JPEG with an EXIF orientation."""
    data = encoded(picture, ".jpg")
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    segment = b"\xff\xe1" + struct.pack(">H", 8 + len(tiff)) + b"Exif\0\0" + tiff
    return data[:2] + segment + data[2:]


def write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_a_colour_image_comes_as_it_is(tmp_path: Path, picture: np.ndarray) -> None:
    assert np.array_equal(read_image(write(tmp_path, "a.png", encoded(picture))), picture)


def test_grey_gets_three_channels(tmp_path: Path, picture: np.ndarray) -> None:
    grey = picture[..., 0]
    image = read_image(write(tmp_path, "a.png", encoded(grey)))
    assert np.array_equal(image, np.dstack([grey] * 3))


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_sixteen_bits_keep_the_high_byte(tmp_path: Path, picture: np.ndarray, suffix: str) -> None:
    deep = picture.astype(np.uint16) * 256 + 77
    image = read_image(write(tmp_path, f"a{suffix}", encoded(deep, suffix)))
    assert image.dtype == np.uint8
    assert np.abs(image.astype(int) - picture).max() <= 1


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_alpha_is_dropped(tmp_path: Path, picture: np.ndarray, depth: type) -> None:
    alpha = np.linspace(0, 255, picture[..., :1].size).reshape(picture[..., :1].shape)
    image = np.concatenate([picture, alpha.astype(np.uint8)], axis=2).astype(depth)
    image *= 1 if depth is np.uint8 else 257
    assert np.array_equal(read_image(write(tmp_path, "a.png", encoded(image))), picture)


def test_cmyk_is_converted(tmp_path: Path) -> None:
    image = read_image(write(tmp_path, "a.jpg", CMYK_JPEG))
    assert image.shape == (16, 16, 3)
    assert np.abs(image.reshape(-1, 3).mean(0) - (90, 40, 200)).max() < 4


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (1, None),
        (3, cv2.ROTATE_180),
        (6, cv2.ROTATE_90_CLOCKWISE),
        (8, cv2.ROTATE_90_COUNTERCLOCKWISE),
    ],
)
def test_exif_orientation_is_applied(
    tmp_path: Path, picture: np.ndarray, orientation: int, turn: int | None
) -> None:
    upright = read_image(write(tmp_path, "up.jpg", encoded(picture, ".jpg")))
    expected = upright if turn is None else cv2.rotate(upright, turn)
    image = read_image(write(tmp_path, "a.jpg", turned_jpeg(picture, orientation)))
    assert np.array_equal(image, expected)


def test_one_pixel(tmp_path: Path) -> None:
    path = write(tmp_path, "a.png", encoded(np.full((1, 1, 3), 9, np.uint8)))
    assert read_image(path).shape == (1, 1, 3)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.6, 0.98])
def test_a_truncated_file_is_named(
    tmp_path: Path, picture: np.ndarray, suffix: str, share: float
) -> None:
    large = cv2.resize(picture, (640, 480))
    data = encoded(large, suffix)
    path = write(tmp_path, f"broken{suffix}", data[: int(len(data) * share)])
    with pytest.raises(EdgeError, match=f"broken{suffix}"):
        read_image(path)


def test_a_file_that_is_no_image_is_named_quietly(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, "a.jpg", b"<html>not found</html>")
    with pytest.raises(EdgeError, match=r"a\.jpg is corrupt, truncated or not an image"):
        read_image(path)
    assert capfd.readouterr() == ("", "")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match=r"Cannot read .*none\.jpg"):
        read_image(tmp_path / "none.jpg")


def test_a_folder_is_searched_to_the_bottom(tmp_path: Path) -> None:
    names = ("b.JPG", "a/z.png", "c.txt", ".hidden.jpg", ".thumbs/x.jpg", "d.jpg/e.webp")
    for name in names:
        write(tmp_path, name, b"")
    found = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)]
    assert found == ["a/z.png", "b.JPG", "d.jpg/e.webp"]


def test_globs_and_single_files(tmp_path: Path) -> None:
    for name in ("a1.jpg", "a2.jpg", "b1.jpg", "deep/a3.jpg", "odd.raw"):
        write(tmp_path, name, b"")
    assert [path.name for path in list_images(f"{tmp_path}/a*.jpg")] == ["a1.jpg", "a2.jpg"]
    deep = [path.name for path in list_images(f"{tmp_path}/**/a*.jpg")]
    assert deep == ["a1.jpg", "a2.jpg", "a3.jpg"]
    assert list_images(tmp_path / "odd.raw") == [tmp_path / "odd.raw"]


def test_a_text_file_lists_images_in_its_order(tmp_path: Path) -> None:
    listed = [write(tmp_path, name, b"-") for name in ("b.png", "a/z.png")]
    other = tmp_path / "listed.txt"
    other.write_text(f"{listed[0]}\n\na/z.png\n")
    assert list_images(other) == listed
    other.write_text("gone.png\n")
    with pytest.raises(EdgeError, match=r"listed\.txt lists .*gone\.png, which does not exist"):
        list_images(other)
    other.write_text("")
    with pytest.raises(EdgeError, match=r"listed\.txt lists no image"):
        list_images(other)


def test_a_folder_within_a_hidden_folder_is_searched(tmp_path: Path) -> None:
    write(tmp_path, ".cache/set/a.jpg", b"")
    assert len(list_images(tmp_path / ".cache" / "set")) == 1


@pytest.mark.parametrize("source", ["empty", "nowhere", "empty/*.jpg"])
def test_nothing_found_is_an_error(tmp_path: Path, source: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(EdgeError, match=source.split("/")[0]):
        list_images(f"{tmp_path}/{source}")
