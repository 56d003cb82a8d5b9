from pathlib import Path

import pytest

from edge_sdk.errors import EdgeError
from edge_sdk.precision_plan import PlanGroup, PrecisionPlan

STEM = PlanGroup("683", ("683",), "int8", "all INT8", 300, "max")
HEAD = PlanGroup("head.a", ("head.a", "head.b"), "float", "kept by '*head*'", 100)
PLAN = PrecisionPlan("k" * 64, "openvino", (STEM, HEAD))


def test_a_plan_comes_back_from_its_file(tmp_path: Path) -> None:
    PLAN.save(tmp_path / "plan.yaml")
    assert PrecisionPlan.load(tmp_path / "plan.yaml") == PLAN


def test_ranges_are_those_of_the_plan_but_for_exceptions() -> None:
    assert PLAN.ranges == "mse"
    assert PLAN.range_methods() == {"683": "max"}


def test_what_runs_in_int8() -> None:
    assert PLAN.int8_layers == {"683"}
    assert PLAN.share() == 0.75


def test_an_edited_precision_is_what_counts(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN.to_yaml().replace("precision: float", "precision: int8"))
    assert PrecisionPlan.load(path).int8_layers == {"683", "head.a", "head.b"}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("precision: float", "precision: int4", r"'head\.a' the precision 'int4': write int8 or"),
        ("precision: float", "precision:", r"'precision' in the group 'head\.a'"),
        ("why: all INT8", "wy: all INT8", "unknown entry 'wy' in the group '683'"),
        ("- head.b", "- head.a", r"the layer 'head\.a' twice"),
        ("name: head.a", "name: '683'", "the group '683' twice"),
        ("- '683'\n", "- 683\n", "a layer in the group '683' that is not a name"),
        ("model_key:", "modelkey:", "unknown entry 'modelkey' in the plan"),
        ("target: openvino", "target: [", "is not YAML"),
        ("ranges: mse", "ranges: best", "the plan the ranges 'best': write one of mse, max"),
        ("  ranges: max", "  ranges: 3", r"'683' the ranges 3: write one of"),
    ],
)
def test_a_wrong_edit_is_named(tmp_path: Path, old: str, new: str, says: str) -> None:
    path = tmp_path / "plan.yaml"
    assert old in PLAN.to_yaml()
    path.write_text(PLAN.to_yaml().replace(old, new, 1))
    with pytest.raises(EdgeError, match=says) as caught:
        PrecisionPlan.load(path)
    assert str(path) in str(caught.value)


def test_an_empty_file_is_no_plan(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text("")
    with pytest.raises(EdgeError, match="the plan must be a mapping"):
        PrecisionPlan.load(tmp_path / "plan.yaml")


def test_a_plan_fits_its_own_model() -> None:
    PLAN.check("k" * 64, "openvino", [STEM, HEAD])


@pytest.mark.parametrize(
    ("key", "target", "groups", "says"),
    [
        ("o" * 64, "openvino", [STEM, HEAD], "for another model"),
        ("k" * 64, "onnxruntime", [STEM, HEAD], "for the target 'openvino', not for 'onnx"),
        ("k" * 64, "openvino", [STEM], r"names a group that the model does not have: 'head\.a'"),
        ("k" * 64, "openvino", [STEM, HEAD, PlanGroup("c", ("c",), "int8")], "lacks a group"),
        (
            "k" * 64,
            "openvino",
            [STEM, PlanGroup("head.a", ("head.a",), "int8")],
            r"names a layer that the model does not have in the group 'head\.a': 'head\.b'",
        ),
    ],
)
def test_a_plan_for_something_else_is_refused(
    key: str, target: str, groups: list[PlanGroup], says: str
) -> None:
    with pytest.raises(EdgeError, match=says):
        PLAN.check(key, target, groups)
