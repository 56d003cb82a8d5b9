from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_sdk.errors import EdgeError
from edge_sdk.outputs import check_output


def test_an_earlier_output_may_be_replaced_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "model.calib").write_text("earlier")
    check_output(tmp_path / "model.calib", tmp_path, "test://street?seed=0", None)
    check_output(tmp_path / "new" / "folders" / "model.calib", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.calib"]
    assert (tmp_path / "model.calib").read_text() == "earlier"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match="is a folder: name a file to write"):
        check_output(tmp_path)


def test_an_input_by_another_path_is_still_the_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.onnx").write_text("")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EdgeError, match=r"model\.onnx is one of the inputs"):
        check_output("model.onnx", tmp_path / "model.onnx")


def test_a_picture_stays(tmp_path: Path) -> None:
    (tmp_path / "photo.PNG").write_bytes(b"")
    with pytest.raises(EdgeError, match=r"photo\.PNG is a picture"):
        check_output(tmp_path / "photo.PNG", tmp_path)


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EdgeError, match=r"Cannot write .*plan\.yaml: Not a directory\."):
        check_output(tmp_path / "file" / "below" / "plan.yaml")
    with pytest.raises(EdgeError, match=r"Cannot write .*: File name too long"):
        check_output(tmp_path / ("x" * 300))


@pytest.mark.skipif(os.geteuid() == 0, reason="an administrator may write everywhere")
def test_a_folder_without_permission_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(EdgeError, match="Permission denied"):
        check_output(tmp_path / "plan.yaml")
