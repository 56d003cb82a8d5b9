"""Fixtures that all tests share."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from tiny import write_tiny_bundle, write_tiny_model

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of data, weights and clips beside the project, if there is one."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the folder {SHARED.name} beside the project")
    return SHARED


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float ONNX detector of a few random convolutions, with its head specification."""
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.onnx")


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A bundle of `tiny_model` for both CPU targets; copy it before changing it."""
    return write_tiny_bundle(tmp_path_factory.mktemp("tiny") / "tiny.edge", tiny_model)


@pytest.fixture(scope="session")
def trt() -> ModuleType:
    """TensorRT-RTX, which parses and builds without a GPU."""
    reason = "needs the package tensorrt-rtx: pip install 'edge-sdk[tensorrt-rtx]'"
    module: ModuleType = pytest.importorskip("tensorrt_rtx", reason=reason)
    return module
