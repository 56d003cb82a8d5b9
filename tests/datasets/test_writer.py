from __future__ import annotations

import errno
import json
from pathlib import Path

import numpy as np
import pytest

from edge_sdk.datasets import open_dataset
from edge_sdk.datasets.writer import write_dataset
from edge_sdk.errors import EdgeError
from edge_sdk.runtime.sources.street import CLASS_NAMES, labelled_frames

ADDRESS = "test://street?size=208x117&seed=3"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("street") / "set"
    write_dataset(ADDRESS, folder, frames=5)
    return folder


@pytest.mark.parametrize("kind", ["yolo", "coco"])
def test_round_trip(folder: Path, kind: str) -> None:
    source = folder if kind == "yolo" else folder / "annotations" / "instances_val.json"
    read = open_dataset(source)
    assert read.names == CLASS_NAMES
    assert len(read.images) == 5
    for sample, frame in zip(read.images, labelled_frames(ADDRESS, 5), strict=True):
        np.testing.assert_array_equal(sample.read(), frame.image)
        labels = sample.labels
        np.testing.assert_allclose(labels.boxes, frame.boxes, atol=1e-3)
        np.testing.assert_array_equal(labels.class_ids, frame.class_ids)
    assert not read.remarks


def test_both_kinds_of_labels_agree_with_the_count(tmp_path: Path) -> None:
    address = "test://street?size=208x117&split=train&frames=3"
    written = write_dataset(address, tmp_path / "set", image_format="jpg")
    assert (written.frames, written.folder) == (3, tmp_path / "set")
    coco = json.loads((tmp_path / "set/annotations/instances_train.json").read_text())
    lines = [
        line
        for path in (tmp_path / "set/labels/train").glob("*.txt")
        for line in path.read_text().splitlines()
    ]
    assert len(coco["annotations"]) == len(lines) == sum(written.objects.values()) > 0
    assert len(list((tmp_path / "set/images/train").glob("*.jpg"))) == 3
    assert len(open_dataset(tmp_path / "set", "train").images) == 3


def test_a_used_folder_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(EdgeError, match="exists already"):
        write_dataset(ADDRESS, tmp_path, frames=1)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write_dataset(ADDRESS, tmp_path / "empty", frames=1)
    assert len(open_dataset(tmp_path / "empty").images) == 1


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bytes = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        if self.name.startswith("000002"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_bytes(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(EdgeError, match="No space left on device"):
        write_dataset(ADDRESS, tmp_path / "set", frames=4)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EdgeError, match="file"):
        write_dataset(ADDRESS, tmp_path / "file" / "set", frames=1)


def test_malformed_requests(tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match="colour"):
        write_dataset("test://street?colour=red", tmp_path / "set")
    with pytest.raises(EdgeError, match="'bmp'"):
        write_dataset(ADDRESS, tmp_path / "set", image_format="bmp")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
