from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest

from edge_sdk.converters.engines.openvino import write_engine
from edge_sdk.errors import EdgeError

openvino = pytest.importorskip("openvino")


def test_an_engine_that_cannot_be_written(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise RuntimeError("basic_ios::clear: iostream error")

    monkeypatch.setattr(openvino, "save_model", full)
    with pytest.raises(EdgeError, match=r"cannot write .*model\.xml: the disk may be full"):
        write_engine(onnx.load(tiny_model), tmp_path)
