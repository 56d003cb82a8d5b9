"""The artefact that leaves the workstation: a folder, or the same folder zipped.

`manifest.json` names every other file with its SHA-256. Nothing of a bundle is used before
all of them are verified, and no file that the manifest does not name is tolerated beside
them, because engines are executable code.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any

from edge_sdk.errors import EdgeError
from edge_sdk.files import replacing, scratch_folder, sha256
from edge_sdk.head_spec import HeadSpec
from edge_sdk.outputs import check_output, check_place

SCHEMA = 1
MANIFEST = "manifest.json"
LARGEST = 8 << 30
"""Bytes that a zipped bundle may unpack to: more is taken for a decompression bomb."""


class Bundle:
    """A verified bundle. Open one with `Bundle.open`.

    Attributes
    ----------
    path : what was opened.
    folder : where the verified files lie; temporary if a zip was opened.
    manifest : what `manifest.json` says.
    head_spec : the detector's contract.
    """

    def __init__(
        self, path: Path, folder: Path, manifest: dict[str, Any], scratch: Path | None
    ) -> None:
        self.path = path
        self.folder = folder
        self.manifest = manifest
        self.head_spec = HeadSpec.from_dict(manifest["head_spec"])
        self._discard = weakref.finalize(self, _discard, scratch)

    @classmethod
    def open(cls, path: Path | str) -> Bundle:
        """Read a bundle and verify every file of it.

        Raises
        ------
        EdgeError
            If it is not a bundle, of another schema, or if a file is missing, changed, extra
            or named so that it would lie outside the bundle.
        """
        path = Path(path)
        if not path.exists():
            raise EdgeError(f"There is no bundle at {path}.")
        scratch = None if path.is_dir() else Path(tempfile.mkdtemp(prefix="edge-sdk-"))
        try:
            folder = path if scratch is None else _unzip(path, scratch)
            manifest = _read_manifest(path, folder)
            _verify(path, folder, manifest["files"])
            return cls(path, folder, manifest, scratch)
        except BaseException:
            _discard(scratch)
            raise

    @property
    def targets(self) -> tuple[str, ...]:
        """The targets that the bundle holds an engine for."""
        return tuple(self.manifest["engines"])

    def file(self, name: str) -> Path:
        """Return the path of a verified file, by its name in the manifest.

        Raises
        ------
        EdgeError
            If the manifest does not name it.
        """
        if name not in self.manifest["files"]:
            raise EdgeError(f"{self.path} holds no file {name!r}.")
        return self.folder / name

    def engine_file(self, target: str) -> Path:
        """Return the path of a target's engine, whose hash has been verified.

        Raises
        ------
        EdgeError
            If the bundle has no engine for the target.
        """
        if target not in self.manifest["engines"]:
            raise EdgeError(
                f"{self.path} has no engine for {target!r}, only for "
                f"{', '.join(self.targets) or 'no target at all'}: build one with "
                f"'edge-sdk build --target {target}'."
            )
        return self.file(self.manifest["engines"][target]["file"])

    def close(self) -> None:
        """Remove the temporary folder that a zip was unpacked to."""
        self._discard()

    def __enter__(self) -> Bundle:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def write_bundle(
    output: Path | str, files: Mapping[str, Path | bytes | str], manifest: Mapping[str, Any]
) -> Path:
    """Write a bundle whole or not at all, and return its path.

    Parameters
    ----------
    output : a folder to write, or a zip file if it ends with ".zip".
    files : name in the bundle -> a file to copy, or its content.
    manifest : everything but `schema` and `files`, which are filled in here: at least
        `head_spec` and `engines`, target -> {"file": name in the bundle, ...}.

    Raises
    ------
    EdgeError
        If a name would lie outside the bundle, the manifest is incomplete, the disk cannot
        take it, or something else than a bundle is in its place.
    """
    output = Path(output)
    check_bundle_output(output)
    for name in files:
        _check_name(output, name)
    with scratch_folder() if output.suffix == ".zip" else replacing(output) as folder:
        hashes = {name: _write(folder / name, content) for name, content in files.items()}
        complete = _check_manifest(output, {"schema": SCHEMA, **manifest, "files": hashes})
        _write(folder / MANIFEST, json.dumps(complete, indent=1))
        if output.suffix == ".zip":
            _zip(folder, output)
    return output


def check_bundle_output(output: Path | str, *inputs: Path | str | None) -> None:
    """Refuse a bundle that cannot be written, or would take the place of what is no bundle.

    Parameters
    ----------
    output : the folder or zip file to write.
    inputs : what it is made from: paths, addresses, None for what was not given.

    Raises
    ------
    EdgeError
        If it is an input, a file, or a folder that holds something else than a bundle; or if
        it cannot be written.
    """
    output = Path(output)
    if output.suffix == ".zip":
        check_output(output, *inputs)
        return
    try:
        if output.is_dir():
            if any(output.iterdir()) and not _looks_like_bundle(output):
                raise EdgeError(
                    f"The folder {output} holds something else than a bundle: give the bundle "
                    "another name."
                )
        elif output.exists():
            raise EdgeError(
                f"The output {output} is a file: name a folder for the bundle, or NAME.edge.zip."
            )
        check_place(output, *inputs)
    except OSError as error:
        raise EdgeError(f"Cannot write {output}: {error.strerror}.") from error


def _looks_like_bundle(folder: Path) -> bool:
    """Return whether a folder has a manifest of ours, of whatever schema."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(manifest, dict) and manifest.keys() >= {"schema", "files", "engines"}


def _write(path: Path, content: Path | bytes | str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, Path):
        shutil.copyfile(content, path)
        return sha256(path)
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def _zip(folder: Path, output: Path) -> None:
    with (
        replacing(output) as beside,
        zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive,
    ):
        for name in sorted(_names(folder)):
            archive.write(folder / name, name)


def _unzip(path: Path, scratch: Path) -> Path:
    """Unpack an archive, whose names are checked first, and return the folder of the bundle.

    That is the archive's only folder where someone zipped the bundle from outside.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            names = {entry.filename for entry in entries}
            for name in names:
                _check_name(path, name)
            if len(names) < len(entries):
                raise EdgeError(f"{path} is not a bundle: it holds the same file twice.")
            if sum(entry.file_size for entry in entries) > LARGEST:
                raise EdgeError(f"{path} would unpack to more than {LARGEST >> 30} GiB.")
            archive.extractall(scratch, sorted(names))
    except OSError as error:
        raise EdgeError(f"{path} cannot be unpacked to {scratch}: {error.strerror}.") from error
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise EdgeError(
            f"{path} is not a bundle (a folder or a zip file), or is damaged ({error})."
        ) from error
    tops = {name.split("/")[0] for name in names}
    return scratch / tops.pop() if MANIFEST not in names and len(tops) == 1 else scratch


def _discard(scratch: Path | None) -> None:
    if scratch is not None:
        shutil.rmtree(scratch, ignore_errors=True)


def _read_manifest(path: Path, folder: Path) -> dict[str, Any]:
    try:
        text = (folder / MANIFEST).read_text(encoding="utf-8")
        manifest = json.loads(text)
    except FileNotFoundError as error:
        raise EdgeError(f"{path} is not a bundle: it has no {MANIFEST}.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise EdgeError(f"{path}: {MANIFEST} cannot be read ({error}).") from error
    return _check_manifest(path, manifest)


def _check_manifest(path: Path, manifest: Any) -> dict[str, Any]:
    """Check the parts that are used here; what the rest says is for people and reports."""
    schema = manifest.get("schema") if isinstance(manifest, dict) else None
    if schema != SCHEMA:
        raise EdgeError(
            f"{path} is a bundle of schema {schema!r}; this version of edge-sdk reads schema "
            f"{SCHEMA}: rebuild the bundle, or install the version that wrote it."
        )
    for key in ("files", "head_spec", "engines"):
        if not isinstance(manifest.get(key), dict):
            raise EdgeError(f"{path}: {MANIFEST} has no object {key!r}.")
    for name in manifest["files"]:
        _check_name(path, name)
    for target, engine in manifest["engines"].items():
        file = engine.get("file") if isinstance(engine, dict) else None
        if not isinstance(file, str) or file not in manifest["files"]:
            raise EdgeError(
                f"{path}: the engine for {target!r} is not among the files of the manifest."
            )
    HeadSpec.from_dict(manifest["head_spec"])
    return dict(manifest)


def _check_name(path: Path, name: str) -> None:
    """Refuse a name that could lie outside the bundle on any platform."""
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or name != "/".join(parts) or any(c in name for c in "\\:\0"):
        raise EdgeError(f"{path} is not a safe bundle: it names a file {name!r}.")


def _names(folder: Path) -> set[str]:
    return {
        file.relative_to(folder).as_posix()
        for file in folder.rglob("*")
        if file.is_symlink() or not file.is_dir()
    }


def _verify(path: Path, folder: Path, hashes: Mapping[str, Any]) -> None:
    found = _names(folder) - {MANIFEST}
    if extra := sorted(found - set(hashes)):
        raise EdgeError(f"{path} holds {extra[0]!r}, which its manifest does not name: remove it.")
    if missing := sorted(set(hashes) - found):
        raise EdgeError(f"{path} lacks the file {missing[0]!r}: copy the bundle again.")
    for name, expected in hashes.items():
        file = folder / name
        if file.is_symlink() or not file.is_file():
            raise EdgeError(
                f"{path}: {name!r} is a link or not a plain file: copy it in its place."
            )
        try:
            actual = sha256(file)
        except OSError as error:
            raise EdgeError(f"{path}: {name!r} cannot be read: {error.strerror}.") from error
        if actual != expected:
            raise EdgeError(
                f"{path}: {name!r} is not what the manifest says (its SHA-256 differs): the file "
                "was changed or damaged; copy the bundle again or rebuild it."
            )
