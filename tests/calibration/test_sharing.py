from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from edge_sdk.calibration.observers import Histogram, merged
from edge_sdk.calibration.ranges import grid_step, squared_error
from edge_sdk.calibration.sharing import LARGEST_LOSS, Group, scale_groups, shared_scale
from edge_sdk.quantization_table import STEPS


def concats(*nodes: tuple[tuple[str, ...], str]) -> onnx.ModelProto:
    made = [helper.make_node("Concat", inputs, [output], axis=1) for inputs, output in nodes]
    return helper.make_model(helper.make_graph(made, "concats", [], []))


def normal(scale: float) -> Histogram:
    histogram = Histogram(signed=True)
    values = np.random.default_rng(0).normal(0, scale, 50_000).astype(np.float32)
    histogram.add(values)
    return histogram


def members(**scales: float) -> dict[str, Histogram]:
    """Histograms of the members of a concat, and of its output `y`."""
    found = {name: normal(scale) for name, scale in scales.items()}
    return {**found, "y": merged(list(found.values()))}


def grouped(
    model: onnx.ModelProto,
    required: list[Group],
    histograms: dict[str, Histogram],
    method: str,
) -> list[Group]:
    """The groups of `scale_groups` with the same grid for all; their scales are checked."""
    grids = dict.fromkeys(histograms, STEPS)
    groups = scale_groups(model, required, histograms, method, grids)
    for group, scale in groups.items():
        assert scale == shared_scale(group, histograms, method, grids)
    return list(groups)


MODEL = concats((("a", "b"), "y"))


def test_members_of_like_ranges_share() -> None:
    assert grouped(MODEL, [], members(a=1, b=1.02), "mse") == [("a", "b", "y")]


@pytest.mark.parametrize("method", ["mse", "max"])
def test_a_small_member_keeps_its_scale(method: str) -> None:
    groups = grouped(MODEL, [], members(a=1, b=0.1), method)
    assert groups == [("a",), ("b",), ("y",)]


@pytest.mark.parametrize("ratio", [1.0, 1.03, 1.06, 1.1, 1.5])
def test_no_member_loses_half_a_decibel(ratio: float) -> None:
    histograms = members(a=1, b=ratio)
    for group in grouped(MODEL, [], histograms, "max"):
        shared = grid_step(merged([histograms[name] for name in group]), "max")
        for name in group:
            own = squared_error(histograms[name], grid_step(histograms[name], "max"))
            loss = 10 * np.log10(squared_error(histograms[name], shared) / own)
            assert loss < LARGEST_LOSS


def test_concats_in_a_chain_do_not_add_up_their_losses() -> None:
    scales = {name: 1.04**power for power, name in enumerate("abcd")}
    histograms = {name: normal(scale) for name, scale in scales.items()}
    model = concats((("a", "b"), "x"), (("b", "c"), "y"), (("c", "d"), "z"))
    groups = grouped(model, [], histograms, "max")
    sizes = sorted(len(group) for group in groups)
    assert sizes[-1] > 1
    assert len(groups) > 1


def test_required_groups_stay_together_and_join_whole() -> None:
    histograms = {**members(a=1, b=1.01), "pooled": normal(1.01)}
    assert grouped(MODEL, [("y", "pooled")], histograms, "mse") == [("a", "b", "y", "pooled")]
    histograms["pooled"] = normal(9)
    groups = grouped(MODEL, [("y", "pooled")], histograms, "mse")
    assert ("y", "pooled") in groups
    assert ("a",) in groups


def test_a_dead_member_does_not_forbid_sharing() -> None:
    dead = Histogram(signed=False)
    dead.add(np.zeros(100, np.float32))
    histograms = {**members(a=1), "b": dead}
    assert grouped(MODEL, [], histograms, "mse") == [("a", "b", "y")]


def test_tensors_that_are_no_points_are_left_alone() -> None:
    histograms = members(a=1)
    assert grouped(MODEL, [], histograms, "mse") == [("a", "y")]
