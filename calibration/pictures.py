"""The pictures of a calibration: chosen from a source, named by their content, read when due."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import EdgeError
from edge_sdk.head_spec import HeadSpec
from edge_sdk.images import content, list_images, read_image
from edge_sdk.runtime.log import log

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Picture:
    """One picture that may be read.

    Attributes
    ----------
    name : for messages: the path, or the address and number of a rendered frame.
    digest : returns the SHA-256 of its content, in hexadecimal; raises EdgeError if unreadable.
    read : returns BGR uint8 [h, w, 3]; raises EdgeError if it is no image.
    """

    name: str
    digest: Callable[[], str]
    read: Callable[[], Image]


def pictures(source: Path | str, limit: int) -> list[Picture]:
    """Return at most `limit` pictures of a source.

    Parameters
    ----------
    source : a folder, a glob or a file, over which they are spread evenly; or
        `test://street?...` for frames of the test camera, whose split is `calibration` unless
        the address says otherwise.
    limit : at least 1.

    Raises
    ------
    EdgeError
        If the source holds no image, or its address is malformed.
    """
    if limit < 1:
        raise EdgeError(f"The number of images must be at least 1, not {limit}.")
    if str(source).startswith("test:"):
        return _street_pictures(str(source), limit)
    paths = list_images(source)
    count = min(limit, len(paths))
    spread = [paths[index * len(paths) // count] for index in range(count)]
    return [
        Picture(str(path), partial(_digest, path), partial(read_image, path)) for path in spread
    ]


def read_pictures(source: Path | str, limit: int) -> Iterator[tuple[Picture, Image]]:
    """Yield at most `limit` pictures of a source; one that cannot be read is left out, and told.

    Raises
    ------
    EdgeError
        If the source holds no image, or none of those chosen can be read.
    """
    problem, some = None, False
    for picture in pictures(source, limit):
        try:
            image = picture.read()
        except EdgeError as error:
            problem = problem or error
            log.warning("Left out: %s", error)
        else:
            some = True
            yield picture, image
    if problem is not None and not some:
        raise problem


def network_inputs(source: Path | str, limit: int, spec: HeadSpec) -> list[npt.NDArray[np.float32]]:
    """Return at most `limit` pictures of a source as a network takes them.

    Returns
    -------
    float32 [1, 3, H, W] each.

    Raises
    ------
    EdgeError
        If the source holds no image that can be read.
    """
    from edge_sdk.runtime.letterbox import Letterbox

    letterbox = Letterbox(spec.preprocessing, spec.input_size)
    inputs = []
    for _, image in read_pictures(source, limit):
        batch = np.empty((1, 3, *spec.input_size), np.float32)
        letterbox(image, batch[0])
        inputs.append(batch)
    return inputs


def address(source: Path | str) -> str:
    """Return a source as it can be opened from any folder."""
    return str(source) if str(source).startswith("test:") else str(Path(source).absolute())


def _digest(path: Path) -> str:
    return hashlib.sha256(content(path)).hexdigest()


def _street_pictures(address: str, limit: int) -> list[Picture]:
    from edge_sdk.runtime.sources.street import Street, parse_street_uri, sample

    options = parse_street_uri(address)
    if "split=" not in address:
        options = replace(options, split="calibration")

    @lru_cache(maxsize=1)
    def street(seed: int) -> Street:
        return Street(seed, options.size, options.fps, options.split)

    def frame(number: int) -> Image:
        seed, index = sample(number, options.seed, options.fps)
        image: Image = street(seed).frame(index).image
        return image

    # A frame is a pure function of its address, so its content is known without rendering it;
    # the first one's pixels tell two versions of the renderer apart.
    world = f"{options.seed} {options.size} {options.fps} {options.split}".encode()
    base = hashlib.sha256(world + frame(0).tobytes())

    def digest(number: int) -> str:
        one = base.copy()
        one.update(str(number).encode())
        return one.hexdigest()

    count = min(limit, options.frames or limit)
    return [
        Picture(f"{address} frame {number}", partial(digest, number), partial(frame, number))
        for number in range(count)
    ]
