"""ONNX files: checked on reading, keyed by content."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edge_sdk.converters.export import export
from edge_sdk.converters.model_file import (
    head_spec_of,
    load_model,
    model_key,
    save_model,
    set_head_spec,
    set_metadata,
)
from edge_sdk.errors import EdgeError


@pytest.fixture
def model(tiny) -> onnx.ModelProto:
    return export(tiny(), ["a", "b", "c"], (64, 96))


def test_what_was_saved_is_read(model, tmp_path: Path) -> None:
    save_model(model, tmp_path / "deep" / "model.onnx")
    found = load_model(tmp_path / "deep" / "model.onnx")
    assert found == model
    spec = head_spec_of(found)
    assert spec.class_names == ("a", "b", "c")
    assert spec.input_size == (64, 96)


@pytest.mark.parametrize("keep", [0, 10, 5000, -2000, -1])
def test_a_truncated_file_is_named(model, keep: int, tmp_path: Path) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(model.SerializeToString()[:keep])
    with pytest.raises(EdgeError, match=r"cut\.onnx is not a valid ONNX model"):
        load_model(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match=r"none\.onnx"):
        load_model(tmp_path / "none.onnx")


def test_the_contract_must_be_there_and_fit(model) -> None:
    spec = head_spec_of(model)
    model.graph.output[0].name = "other"
    with pytest.raises(EdgeError, match=spec.output_names[0]):
        head_spec_of(model)
    del model.metadata_props[:]
    with pytest.raises(EdgeError, match="edge-sdk convert"):
        head_spec_of(model)


def test_the_key_is_that_of_graph_and_weights(model) -> None:
    key = model_key(model)
    set_metadata(model, "note", "anything")
    set_head_spec(model, head_spec_of(model).with_names(("x", "y", "z")))
    model.producer_name = "somebody"
    assert model_key(model) == key
    weight = model.graph.initializer[0]
    array = numpy_helper.to_array(weight).copy()
    array.flat[0] = np.nextafter(array.flat[0], np.float32(2))
    weight.CopyFrom(numpy_helper.from_array(array, weight.name))
    assert model_key(model) != key


def test_the_key_sees_attributes(model) -> None:
    key = model_key(model)
    conv = next(node for node in model.graph.node if node.op_type == "Conv")
    next(a for a in conv.attribute if a.name == "strides").ints[:] = [1, 1]
    assert model_key(model) != key
