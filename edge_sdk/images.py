"""Finding pictures and reading them, whatever a folder of a user's own images holds."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import EdgeError
from edge_sdk.opencv import opencv

SUFFIXES = frozenset(
    (
        ".avif", ".bmp", ".dib", ".gif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm",
        ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp",
    )
)  # fmt: skip


def list_images(source: Path | str) -> list[Path]:
    """Return the image files of a folder (with all below it), of a glob, or the one file named.

    They are sorted by path; files and folders whose name begins with a dot are left out. A .txt
    lists images, one a line, relative to itself; they come in its order.

    Raises
    ------
    EdgeError
        If nothing is there, or no image among it.
    """
    path = Path(source)
    if path.suffix == ".txt" and path.is_file():
        return _listed(path)
    if path.is_file():
        return [path]
    if path.is_dir():
        found = [file for file in path.rglob("*") if _is_image(file.relative_to(path), file)]
    elif glob.has_magic(str(source)):
        hits = map(Path, glob.glob(str(source), recursive=True))
        found = [file for file in hits if _is_image(Path(file.name), file)]
    else:
        raise EdgeError(f"{source} does not exist: give a folder of images, a pattern or a file.")
    if not found:
        raise EdgeError(f"There is no image in {source}: looked for {', '.join(sorted(SUFFIXES))}.")
    return sorted(found)


def _listed(path: Path) -> list[Path]:
    """Return the images that a text file lists."""
    lines = content(path).decode("utf-8", "replace").splitlines()
    images = [path.parent / line.strip() for line in lines if line.strip()]
    missing = [image for image in images if not image.is_file()]
    if missing or not images:
        what = f"{missing[0]}, which does not exist" if missing else "no image"
        raise EdgeError(f"{path} lists {what}.")
    return images


def read_image(path: Path | str) -> npt.NDArray[np.uint8]:
    """Read an image file as BGR uint8 [h, w, 3].

    Grey images get three equal channels, 16-bit ones keep their high byte, CMYK is converted,
    the orientation of EXIF is applied, an alpha channel is dropped (as the loaders that
    detectors are trained with do). Of an animation, the first frame.

    Raises
    ------
    EdgeError
        If the file cannot be opened, is truncated or corrupt, or is not an image.
    """
    cv2 = opencv("Reading images")
    # From memory, not by cv2.imread: imread fills the rest of a truncated JPEG with grey.
    data = np.frombuffer(content(path), np.uint8)
    image: npt.NDArray[np.uint8] | None = None
    with _quiet(), suppress(cv2.error):
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        what = "is empty" if not data.size else "is corrupt, truncated or not an image"
        raise EdgeError(f"{path} {what}: replace or remove it.")
    return image


def content(path: Path | str) -> bytes:
    """Return a file's bytes.

    Raises
    ------
    EdgeError
        If it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise EdgeError(f"Cannot read {path}: {error.strerror}.") from error


def _is_image(relative: Path, file: Path) -> bool:
    hidden = any(part.startswith(".") for part in relative.parts)
    return file.suffix.lower() in SUFFIXES and not hidden and file.is_file()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep OpenCV's own remarks on bad files off the terminal: ours name the file."""
    from cv2.utils import logging

    level = logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(level)
