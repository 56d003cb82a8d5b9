import json
from pathlib import Path

import numpy as np
import pytest

from edge_sdk.errors import EdgeError
from edge_sdk.quantization_table import ActivationScale, QuantizationTable, WeightScale

TABLE = QuantizationTable(
    "key",
    {"x": ActivationScale(0.1, True, "mse"), "y": ActivationScale(3.0, False, "max")},
    {"w": WeightScale(1, np.array([0.25, 1e-9], np.float32))},
    {"b": np.array([0.1, -3e-7], np.float32)},
    {"w": np.array([[-127, 5], [0, 127]], np.int8)},
    {"x": np.array([0.1, 0.0625], np.float32)},
    {"y": np.array([2.0, 0.03125], np.float32)},
)


def test_a_table_comes_back_from_its_file(tmp_path: Path) -> None:
    TABLE.save(tmp_path / "quant.json")
    loaded = QuantizationTable.load(tmp_path / "quant.json")
    assert loaded.model_key == "key"
    assert loaded.activations == TABLE.activations
    assert loaded.weights["w"].axis == 1
    np.testing.assert_array_equal(loaded.weights["w"].scales, TABLE.weights["w"].scales)
    np.testing.assert_array_equal(loaded.biases["b"], TABLE.biases["b"])
    np.testing.assert_array_equal(loaded.rounded["w"], TABLE.rounded["w"])
    assert loaded.rounded["w"].dtype == np.int8
    np.testing.assert_array_equal(loaded.channels["x"], TABLE.channels["x"])
    np.testing.assert_array_equal(loaded.factors["y"], TABLE.factors["y"])
    assert loaded.key == TABLE.key


def test_a_table_without_replacements_is_read(tmp_path: Path) -> None:
    """As versions wrote it that did not know them."""
    values = json.loads(TABLE.to_json())
    del values["biases"], values["rounded"], values["channels"], values["factors"]
    (tmp_path / "quant.json").write_text(json.dumps(values))
    loaded = QuantizationTable.load(tmp_path / "quant.json")
    assert (loaded.biases, loaded.rounded) == ({}, {})
    assert (loaded.channels, loaded.factors) == ({}, {})


def test_the_grid_ends_at_127_steps() -> None:
    assert TABLE.activations["x"].limit == pytest.approx(12.7)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            "{",
            "",
        ),
        ("0.1", "0.0"),
        ("0.1", "NaN"),
        ('"schema": 1', '"schema": 9'),
        ("axis", "axes"),
        ('"b": [', '"b": [NaN, '),
        ('"data": "', '"data": "?'),
        ("0.0625", "-0.0625"),
        ("0.03125", "0.0"),
    ],
)
def test_a_damaged_table_is_refused_by_name(tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "quant.json"
    path.write_text(TABLE.to_json().replace(old, new, 1))
    with pytest.raises(EdgeError, match=r"quant\.json is not a quantization table"):
        QuantizationTable.load(path)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match=r"none\.json"):
        QuantizationTable.load(tmp_path / "none.json")
