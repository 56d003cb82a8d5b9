from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from tiny import tiny_spec, write_tiny_bundle

from edge_sdk.bundle import MANIFEST, Bundle, check_bundle_output, write_bundle
from edge_sdk.errors import EdgeError

ENGINE = "engines/openvino/model.onnx"


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return Path(shutil.copytree(tiny_bundle, tmp_path / "copy.edge"))


def zipped(folder: Path, top: str = "") -> Path:
    path = folder.with_suffix(".edge.zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.rglob("*"):
            if file.is_file():
                archive.write(file, top + file.relative_to(folder).as_posix())
    return path


def edit_manifest(folder: Path, **changes: object) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**manifest, **changes}))


def test_folder_gives_back_what_was_written(tiny_bundle: Path) -> None:
    bundle = Bundle.open(tiny_bundle)
    assert bundle.head_spec == tiny_spec()
    assert bundle.targets == ("openvino", "onnxruntime")
    assert bundle.engine_file("openvino") == tiny_bundle / ENGINE
    assert bundle.manifest["schema"] == 1


@pytest.mark.parametrize("top", ["", "copy.edge/"], ids=["bare", "zipped from outside"])
def test_zip_is_the_same_and_leaves_nothing_behind(bundle: Path, top: str) -> None:
    with Bundle.open(zipped(bundle, top)) as opened:
        assert opened.file("model.onnx").read_bytes() == (bundle / "model.onnx").read_bytes()
        folder = opened.folder
    assert not folder.exists()
    assert bundle.exists()


def test_zip_is_written_and_read(tiny_model: Path, tmp_path: Path) -> None:
    path = write_tiny_bundle(tmp_path / "tiny.edge.zip", tiny_model)
    with Bundle.open(path) as opened:
        assert opened.file("model.onnx").read_bytes() == tiny_model.read_bytes()


def test_a_bundle_takes_the_place_of_a_bundle_or_an_empty_folder(
    bundle: Path, tiny_model: Path, tmp_path: Path
) -> None:
    edit_manifest(bundle, schema=0)  # what an old version wrote is to be built anew
    (tmp_path / "empty").mkdir()
    for output in (bundle, tmp_path / "empty"):
        Bundle.open(write_tiny_bundle(output, tiny_model)).close()


@pytest.mark.parametrize("name", ["notes.txt", MANIFEST])
def test_a_bundle_never_takes_the_place_of_another_folder(
    tiny_model: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / name).write_text('{"name": "not ours"}')
    with pytest.raises(EdgeError, match="holds something else than a bundle"):
        write_tiny_bundle(tmp_path / "site", tiny_model)
    assert (tmp_path / "site" / name).read_text() == '{"name": "not ours"}'


def test_a_bundle_takes_the_place_of_no_file_and_no_input(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EdgeError, match=r"is a file: name a folder .* NAME\.edge\.zip"):
        check_bundle_output(tmp_path / "file")
    with pytest.raises(EdgeError, match="is one of the inputs"):
        check_bundle_output(bundle, bundle)
    with pytest.raises(EdgeError, match="is a folder"):
        check_bundle_output(Path(shutil.copytree(bundle, tmp_path / "a.zip")))


@pytest.mark.parametrize("name", ["model.onnx", ENGINE])
def test_one_changed_byte_is_refused(bundle: Path, name: str) -> None:
    data = bytearray((bundle / name).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / name).write_bytes(data)
    for path in (bundle, zipped(bundle)):
        with pytest.raises(EdgeError, match=f"'{name}' is not what the manifest says"):
            Bundle.open(path)


def test_missing_file_is_refused(bundle: Path) -> None:
    (bundle / "model.onnx").unlink()
    with pytest.raises(EdgeError, match=r"lacks the file 'model\.onnx'"):
        Bundle.open(bundle)


def test_file_that_the_manifest_does_not_name_is_refused(bundle: Path) -> None:
    (bundle / "engines" / "openvino" / "plugin.so").write_bytes(b"\x7fELF")
    with pytest.raises(EdgeError, match=r"holds 'engines/openvino/plugin\.so'"):
        Bundle.open(bundle)


def test_link_in_the_place_of_a_file_is_refused(bundle: Path, tiny_model: Path) -> None:
    (bundle / "model.onnx").unlink()
    (bundle / "model.onnx").symlink_to(tiny_model)
    with pytest.raises(EdgeError, match="is a link"):
        Bundle.open(bundle)


@pytest.mark.parametrize("name", ["../out", "/etc/passwd", "a/../../b", "a\\..\\b", "C:x", ""])
def test_names_outside_the_bundle_are_refused(bundle: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(EdgeError, match="not a safe bundle"):
        write_bundle(tmp_path / "new.edge", {name: b""}, {})
    manifest = json.loads((bundle / MANIFEST).read_text())
    edit_manifest(bundle, files={**manifest["files"], name: "0" * 64})
    with pytest.raises(EdgeError, match="not a safe bundle"):
        Bundle.open(bundle)


def test_archive_that_would_write_outside_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.edge.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../evil.txt", "gotcha")
    with pytest.raises(EdgeError, match="not a safe bundle"):
        Bundle.open(path)
    assert [file.name for file in tmp_path.iterdir()] == ["evil.edge.zip"]


def test_engine_without_a_hash_is_refused(bundle: Path) -> None:
    edit_manifest(bundle, engines={"openvino": {"file": "../model.onnx"}})
    with pytest.raises(EdgeError, match="not among the files"):
        Bundle.open(bundle)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 2}, "schema 2"),
        ({"schema": None}, "schema None"),
        ({"files": []}, "no object 'files'"),
        ({"engines": {"openvino": 3}}, "not among the files"),
        ({"engines": {"openvino": {"file": []}}}, "not among the files"),
        ({"head_spec": {}}, "malformed"),
    ],
)
def test_malformed_manifest_is_refused(
    bundle: Path, changes: dict[str, object], message: str
) -> None:
    edit_manifest(bundle, **changes)
    with pytest.raises(EdgeError, match=message):
        Bundle.open(bundle)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000])
def test_manifest_that_is_no_object_is_refused(bundle: Path, text: str) -> None:
    (bundle / MANIFEST).write_text(text)
    with pytest.raises(EdgeError):
        Bundle.open(bundle)


def test_what_is_no_bundle_is_refused(bundle: Path, tmp_path: Path) -> None:
    archive = zipped(bundle)
    damaged = tmp_path / "damaged.edge.zip"
    damaged.write_bytes(archive.read_bytes()[:-100])
    empty = tmp_path / "empty.edge"
    empty.mkdir()
    for path, message in (
        (tmp_path / "none.edge", "There is no bundle"),
        (damaged, "is not a bundle"),
        (bundle / MANIFEST, "is not a bundle"),
        (empty, "it has no manifest.json"),
    ):
        with pytest.raises(EdgeError, match=message):
            Bundle.open(path)


def test_missing_target_is_named_with_those_there_are(tiny_bundle: Path) -> None:
    with pytest.raises(EdgeError, match="only for openvino, onnxruntime"):
        Bundle.open(tiny_bundle).engine_file("tensorrt")


def test_incomplete_manifest_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(EdgeError):
        write_bundle(tmp_path / "new.edge", {"a": "text"}, {"engines": {}})
    assert not list(tmp_path.iterdir())
