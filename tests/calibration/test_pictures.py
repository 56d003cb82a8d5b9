from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_sdk.calibration.pictures import pictures, read_pictures
from edge_sdk.errors import EdgeError

cv2 = pytest.importorskip("cv2")


@pytest.fixture
def ten(tmp_path: Path) -> Path:
    for index in range(10):
        (tmp_path / f"{index}.jpg").write_bytes(bytes([index]))
    return tmp_path


def test_a_limit_is_spread_over_the_source(ten: Path) -> None:
    assert [Path(picture.name).stem for picture in pictures(ten, limit=3)] == ["0", "3", "6"]
    assert len(pictures(ten, limit=100)) == 10


def test_digests_name_the_content(ten: Path) -> None:
    (ten / "9.jpg").write_bytes(b"\0")
    digests = [picture.digest() for picture in pictures(ten, limit=10)]
    assert digests[0] == digests[9]
    assert len(set(digests)) == 9


def test_what_cannot_be_read_is_left_out_and_told(
    ten: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _, image = cv2.imencode(".jpg", np.zeros((4, 4, 3), np.uint8))
    for path in ten.iterdir():
        path.write_bytes(image.tobytes())
    broken = sorted(ten.iterdir())[4]
    broken.write_bytes(b"no picture")
    assert len(list(read_pictures(ten, 10))) == 9
    assert caplog.text.count(f"{broken} is corrupt") == 1
    for path in ten.iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(EdgeError, match="is corrupt"):
        list(read_pictures(ten, 10))


def test_a_limit_below_one_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match="at least 1"):
        pictures(tmp_path, limit=0)


STREET = "test://street?seed=3&size=96x64"


def test_frames_of_the_test_camera() -> None:
    found = pictures(STREET, limit=6)
    frames = [picture.read() for picture in found]
    assert {(frame.shape, frame.dtype.name) for frame in frames} == {((64, 96, 3), "uint8")}
    assert len({frame.tobytes() for frame in frames}) == 6
    assert len({picture.digest() for picture in found}) == 6
    again = pictures(STREET, limit=6)
    assert [picture.digest() for picture in again] == [picture.digest() for picture in found]
    assert np.array_equal(again[4].read(), frames[4])


def test_frames_are_of_the_calibration_split_unless_told() -> None:
    default, calibration, train = (
        pictures(STREET + split, limit=1)[0] for split in ("", "&split=calibration", "&split=train")
    )
    assert default.digest() == calibration.digest() != train.digest()
    assert np.array_equal(default.read(), calibration.read())
    assert not np.array_equal(default.read(), train.read())


@pytest.mark.parametrize("option", ["seed=4", "size=128x64", "fps=10"])
def test_other_frames_have_other_digests(option: str) -> None:
    assert pictures(STREET, 1)[0].digest() != pictures(f"test://street?{option}", 1)[0].digest()


def test_the_address_may_limit_the_frames() -> None:
    assert len(pictures(f"{STREET}&frames=2", limit=5)) == 2


@pytest.mark.parametrize("address", ["test://road", "test://street?sed=1", "test:street"])
def test_a_malformed_address_is_an_error(address: str) -> None:
    with pytest.raises(EdgeError, match="street"):
        pictures(address, limit=1)
