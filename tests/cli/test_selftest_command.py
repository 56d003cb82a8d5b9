from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny import tiny_spec, write_tiny_bundle, write_tiny_model
from typer.testing import CliRunner, Result

from edge_sdk.bundle import Bundle, write_bundle
from edge_sdk.bundle_selftest import selftest_files
from edge_sdk.cli import application
from edge_sdk.errors import EdgeError


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(application(), ["selftest", *map(str, arguments)])


def bundle_of(folder: Path, model: Path, expected_of: Path) -> Path:
    """Write a bundle of one network with the selftest of another."""
    bare = write_tiny_bundle(folder / "bare.edge", model)
    files = selftest_files(expected_of, expected_of, "onnxruntime", tiny_spec())
    with Bundle.open(bare) as opened:
        contents = {name: opened.file(name) for name in opened.manifest["files"]}
        return write_bundle(folder / "a.edge", {**contents, **files}, opened.manifest)


def test_status_0_for_the_engine_that_was_built(tmp_path: Path, tiny_model: Path) -> None:
    bundle = bundle_of(tmp_path, tiny_model, tiny_model)
    result = invoke(bundle, "--target", "onnxruntime", "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["passed"] is True
    assert found["target"] == "onnxruntime"
    assert {"score_shift", "box_shift", "map_drop"} <= set(found["against_float"])
    shown = invoke(bundle, "--target", "onnxruntime").stdout
    assert "selftest passed" in shown
    assert "where built" in shown


def test_status_1_and_what_is_wrong_for_another(tmp_path: Path, tiny_model: Path) -> None:
    other = write_tiny_model(tmp_path / "other.onnx", seed=1)
    bundle = bundle_of(tmp_path, other, tiny_model)
    result = invoke(bundle, "--target", "onnxruntime", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["problems"]
    shown = invoke(bundle, "--target", "onnxruntime")
    assert shown.exit_code == 1
    assert "of the objects are missed or added" in shown.stdout
    assert "selftest FAILED" in shown.stdout


def test_a_bundle_that_is_none_is_the_users_mistake(tmp_path: Path, tiny_bundle: Path) -> None:
    for path in (tmp_path / "none.edge", tiny_bundle):
        with pytest.raises(EdgeError):
            raise invoke(path).exception or AssertionError("no error")
