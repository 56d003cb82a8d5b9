"""Fixtures that all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of data, weights and clips beside the project, if there is one."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the folder {SHARED.name} beside the project")
    return SHARED
