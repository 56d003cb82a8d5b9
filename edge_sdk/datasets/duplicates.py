"""Images that two splits share: pixel by pixel, or to the eye.

To the eye: grey thumbnails of 32 x 32 pixels, without their mean and of length one, whose inner
product (the correlation) is at least 0.96. Noise, recompression, another size, focus or
brightness stay above it; the next photograph of the same scene mostly does not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edge_sdk.datasets.sample import Dataset, Sample
from edge_sdk.opencv import opencv
from edge_sdk.progress import Progress, silent

SIDE = 32
ALIKE = 0.96


class Fingerprints(NamedTuple):
    """What images are compared by.

    Attributes
    ----------
    digests : SHA-256 of each image's pixels.
    thumbnails : float32 [N, SIDE * SIDE]; zero for an image of one colour.
    """

    digests: Sequence[bytes]
    thumbnails: npt.NDArray[np.float32]


class Twin(NamedTuple):
    """An image of one split that is also in the other, as indices of both."""

    own: int
    other: int
    exact: bool


def fingerprints(dataset: Dataset, progress: Progress = silent) -> Fingerprints:
    """Read all images of a split.

    Raises
    ------
    EdgeError
        If one cannot be read; it is named.
    """
    digests, thumbnails = [], []
    with ThreadPoolExecutor() as pool:
        for digest, thumbnail in pool.map(_fingerprint, dataset.images):
            digests.append(digest)
            thumbnails.append(thumbnail)
            progress(len(digests), len(dataset), f"reading {dataset.split}")
    return Fingerprints(digests, np.stack(thumbnails))


def twins(images: Fingerprints, others: Fingerprints) -> list[Twin]:
    """Return the images that are among others too, each with one of its twins."""
    known = {digest: index for index, digest in enumerate(others.digests)}
    found = []
    for index, digest in enumerate(images.digests):
        if digest in known:
            found.append(Twin(index, known[digest], True))
            continue
        alike = others.thumbnails @ images.thumbnails[index]
        best = int(alike.argmax())
        if alike[best] >= ALIKE:
            found.append(Twin(index, best, False))
    return found


def _fingerprint(sample: Sample) -> tuple[bytes, npt.NDArray[np.float32]]:
    cv2 = opencv("Comparing images")
    image = sample.read()
    digest = hashlib.sha256(repr(image.shape).encode() + image.tobytes()).digest()
    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY).astype(np.float32).ravel()
    grey -= grey.mean()
    return digest, grey / max(float(np.linalg.norm(grey)), 1e-6)
