from __future__ import annotations

import errno
import tempfile
from pathlib import Path

import pytest

from edge_sdk.errors import EdgeError
from edge_sdk.files import make_folder, scratch_folder, write_text


def test_a_scratch_folder_goes_with_what_is_in_it() -> None:
    with scratch_folder() as folder:
        (folder / "large").write_bytes(b"0")
    assert not folder.exists()


def test_a_full_disk_of_temporary_files_is_one_sentence() -> None:
    with pytest.raises(EdgeError, match=r"No space left on device.*TMPDIR"), scratch_folder():
        raise OSError(errno.ENOSPC, "No space left on device")


def test_no_place_for_temporary_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(EdgeError, match=r"gone.*TMPDIR"), scratch_folder():
        pass


def test_a_folder_below_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EdgeError, match=r"Cannot make the folder .*file/below"):
        make_folder(tmp_path / "file" / "below")


def test_a_file_never_takes_the_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "photo.png").write_text("precious")
    with pytest.raises(EdgeError, match=r"Cannot write .*folder: it is a folder"):
        write_text(tmp_path / "folder", "text")
    assert (tmp_path / "folder" / "photo.png").read_text() == "precious"
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
