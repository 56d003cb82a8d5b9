"""Fixtures of the tests that run a detector."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_sdk.runtime import Detector


@pytest.fixture(scope="package")
def detector(tiny_bundle: Path) -> Iterator[Detector]:
    """The tiny detector, on one thread."""
    with Detector(tiny_bundle, threads=1) as detector:
        yield detector
