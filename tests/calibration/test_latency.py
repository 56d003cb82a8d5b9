import itertools
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from small_graphs import graph, node

from edge_sdk.calibration.group_graph import GroupGraph
from edge_sdk.calibration.latency import (
    Change,
    GroupTime,
    LatencyTable,
    latency_table,
    mixed_plans,
)
from edge_sdk.calibration.profiles import Kernel
from edge_sdk.converters.layer_groups import layer_groups
from edge_sdk.errors import EdgeError
from edge_sdk.precision_plan import PlanGroup

NAMES = ("a", "b", "c", "d")
EVERYTHING = frozenset(NAMES)


def chain() -> onnx.ModelProto:
    """Four layers in a row, and a tail."""
    nodes = []
    for source, name in zip(("x", *NAMES[:-1]), NAMES, strict=True):
        nodes.append(node("Conv", f"{source} w{name}", name))
    nodes.append(node("Reshape", "d shape", "tail"))
    for made in nodes:
        made.name = made.output[0]
    constants = {f"w{name}": np.ones((1, 1, 1, 1)) for name in NAMES}
    return graph(nodes, {**constants, "shape": np.array([1, 1, 4, 4])}, ["tail"])


def kernels(int8: frozenset[str], up: float = 0.5, down: float = 0.25) -> list[Kernel]:
    """What an engine would tell: a layer takes 4 ms in float and 1 in INT8; the tail 1."""
    found = []
    for before, name in zip((None, *NAMES), NAMES, strict=False):
        if before is not None and (before in int8) != (name in int8):
            found.append(Kernel(("Reorder_1",), up if name in int8 else down))
        found.append(Kernel((name,), 1.0 if name in int8 else 4.0))
    return [*found, Kernel(("tail",), 1.0)]


def measured(**changes: float) -> LatencyTable:
    model = chain()
    groups = layer_groups(model)
    plans = [frozenset(), EVERYTHING, *mixed_plans(groups)]
    profiles = {plan: kernels(plan, **changes) for plan in plans}
    # The true latencies are twice what the profiler sees of float, thrice of INT8.
    return latency_table(
        "key", "openvino", GroupGraph(model, groups), groups, profiles, 34.0, 14.0, {"cpu": "x"}
    )


def test_the_pure_engines_take_what_was_timed() -> None:
    table = measured()
    assert table.predict(()) == pytest.approx(34.0)
    assert table.predict(EVERYTHING) == pytest.approx(14.0)
    assert table.rest == pytest.approx(2.0)
    assert table.groups["b"].float_ms == pytest.approx(8.0)
    assert table.groups["b"].int8_ms == pytest.approx(3.0)


def test_a_change_of_precision_costs_what_the_mixed_plans_took_longer() -> None:
    table = measured(up=0.5, down=0.25)
    assert set(table.changes) == {("a", "b"), ("b", "c"), ("c", "d")}
    scale = np.sqrt(2.0 * 3.0)
    for change in table.changes.values():
        assert change.to_int8 == pytest.approx(0.5 * scale, rel=0.2)
        assert change.to_float == pytest.approx(0.25 * scale, rel=0.2)
    one = table.predict({"b"}) - table.predict(())
    assert one == pytest.approx(3.0 - 8.0 + 0.75 * scale, rel=0.2)
    assert table.change_cost({"b"}) == pytest.approx(0.75 * scale, rel=0.2)
    assert table.scaled(0.0).change_cost({"b"}) == 0.0


def test_changes_that_cost_nothing_have_no_price() -> None:
    assert measured(up=0.0, down=0.0).change_cost({"b", "d"}) == pytest.approx(0.0, abs=1e-9)


def test_neighbours_meet_in_every_combination() -> None:
    groups = [PlanGroup(str(n), (str(n),), "int8") for n in range(9)]
    plans = mixed_plans(groups)
    for before, behind in itertools.pairwise(groups):
        seen = {(before.name in plan, behind.name in plan) for plan in plans}
        assert {(True, False), (False, True)} <= seen
    assert mixed_plans(groups[:1]) == []


def test_a_table_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    table = measured()
    table.save(tmp_path / "table.json")
    assert LatencyTable.load(tmp_path / "table.json") == table


@pytest.mark.parametrize(
    "text", ["", "{}", '{"schema": 9}', "[1]", '{"schema": 1, "groups": [{"name": 1}]}']
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "table.json").write_text(text)
    with pytest.raises(EdgeError, match="is not a latency table"):
        LatencyTable.load(tmp_path / "table.json")


def test_a_time_that_is_none_is_refused(tmp_path: Path) -> None:
    table = LatencyTable("k", "openvino", {"a": GroupTime(float("nan"), 1.0)}, {}, 0.0)
    table.save(tmp_path / "table.json")
    with pytest.raises(EdgeError, match="a time of nan"):
        LatencyTable.load(tmp_path / "table.json")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"model_key": "other"}, "is of another model"),
        ({"groups": {"a"}}, "is of another model"),
        ({"target": "onnxruntime"}, "of the target 'openvino', not of 'onnxruntime'"),
    ],
)
def test_a_table_of_something_else_is_refused(other: dict[str, Any], message: str) -> None:
    table = LatencyTable(
        "key", "openvino", {"a": GroupTime(2, 1), "b": GroupTime(2, 1)}, {("a", "b"): Change(0, 0)},
        0.0,
    )  # fmt: skip
    fitting = {"model_key": "key", "target": "openvino", "groups": {"a", "b"}}
    table.check(**fitting)
    with pytest.raises(EdgeError, match=message):
        table.check(**{**fitting, **other})


def test_a_table_is_corrected_by_what_whole_plans_take() -> None:
    table = measured()
    times = {
        frozenset[str](): 34.0,
        EVERYTHING: 20.0,
        frozenset("b"): table.scaled(3.0, 18.0 / 12.0).predict({"b"}),
    }
    corrected = table.corrected(times)
    for plan, ms in times.items():
        assert corrected.predict(plan) == pytest.approx(ms)
    assert table.corrected({}) == table


def test_a_group_that_the_profile_flatters_is_corrected() -> None:
    """The profile says that all groups are three times as fast in INT8; "g2" is not at all."""
    names = [f"g{number}" for number in range(8)]
    table = LatencyTable("k", "t", dict.fromkeys(names, GroupTime(3.0, 1.0)), {}, 1.0)
    slow = 25.0
    plans = [frozenset(names), *(frozenset(names[i : i + 4]) for i in range(5))]
    times = {plan: slow - 2.0 * len(plan - {"g2"}) for plan in plans}
    corrected = table.corrected(times)
    for plan, ms in times.items():
        assert corrected.predict(plan) == pytest.approx(ms, rel=0.03)
    assert min(corrected.groups, key=lambda n: -corrected.groups[n].int8_ms) == "g2"
