import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import write_tiny_model

from edge_sdk.budget import Budget
from edge_sdk.bundle import Bundle
from edge_sdk.calibration import calibrate
from edge_sdk.calibration.latency import GroupTime, LatencyTable
from edge_sdk.calibration.search import Problem
from edge_sdk.calibration.sensitivity import Sensitivity, Shift
from edge_sdk.converters.convert import convert
from edge_sdk.deployment import build
from edge_sdk.errors import EdgeError
from edge_sdk.hybrid_plan import HybridPlan, Trial, search_folder
from edge_sdk.plan_search import _losses, _Search, choose, search_plan
from edge_sdk.plan_trials import Laboratory, Measured
from edge_sdk.precision_plan import PlanGroup, PrecisionPlan
from edge_sdk.progress import silent

IMAGES = "test://street?seed=3&size=128x96"


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, its calibration, and a latency table in which INT8 is faster."""
    folder = tmp_path_factory.mktemp("search")
    model = convert(write_tiny_model(folder / "tiny.onnx"), folder / "model.onnx").output
    calibrate(model, IMAGES, folder / "model.calib", limit=3)
    from edge_sdk.converters.layer_groups import layer_groups
    from edge_sdk.converters.model_file import load_model, model_key

    graph = load_model(model)
    times = {group.name: GroupTime(2.0, 1.0) for group in layer_groups(graph)}
    LatencyTable(
        model_key(graph), "onnxruntime", times, {}, 1.0,
        {"cpu": "another", "threads": 4, "date": "then"},
    ).save(folder / "table.json")  # fmt: skip
    return folder


def search(folder: Path, output: Path, budget: Budget | None = None, **more: Any) -> HybridPlan:
    more = {"latency": folder / "table.json", "limit": 2, **more}
    files = (folder / "model.onnx", folder / "model.calib")
    return search_plan(*files, "onnxruntime", output, budget, **more)


def test_the_fastest_plan_within_the_shift_is_written(calibrated: Path, tmp_path: Path) -> None:
    loose = search(calibrated, tmp_path / "plan.yaml", Budget(max_shift=1e9))
    whole = loose.trials[1]
    assert loose.met
    assert loose.chosen == whole
    assert loose.plan.int8_groups == set(loose.groups)
    tight = search(calibrated, tmp_path / "plan.yaml", Budget(max_shift=whole.loss * 0.6))
    assert tight.met
    assert 0 < tight.chosen.loss <= whole.loss * 0.6
    assert loose.chosen.ms < tight.chosen.ms < tight.trials[0].ms
    written = PrecisionPlan.load(tmp_path / "plan.yaml")
    assert written == tight.plan
    assert written.int8_groups == tight.chosen.int8
    assert "For a shift of at most" in written.about
    assert all("ms" in group.why for group in written.groups)
    assert "The front" in (tmp_path / "plan.html").read_text()


def test_a_latency_limit_finds_the_most_faithful_plan(calibrated: Path, tmp_path: Path) -> None:
    free = search(calibrated, tmp_path / "plan.yaml", Budget(max_latency=100))
    assert free.chosen.int8 == frozenset()
    fastest, slowest = (free.trials[i].ms for i in (1, 0))
    limit = (fastest + slowest) / 2
    found = search(calibrated, tmp_path / "plan.yaml", Budget(max_latency=limit))
    assert found.met
    assert found.chosen.ms <= limit
    assert found.chosen.loss < found.trials[1].loss


def test_a_budget_that_no_plan_meets_gets_the_closest(calibrated: Path, tmp_path: Path) -> None:
    found = search(calibrated, tmp_path / "plan.yaml", Budget(max_latency=0.5))
    assert not found.met
    assert "No plan keeps to it; the closest has" in found.remark
    assert found.chosen.ms == min(trial.ms for trial in found.trials)
    assert PrecisionPlan.load(tmp_path / "plan.yaml") == found.plan


def test_layers_to_be_kept_are(calibrated: Path, tmp_path: Path) -> None:
    found = search(calibrated, tmp_path / "plan.yaml", Budget(max_shift=1e9), keep_float=["Conv_0"])
    kept = [group for group in found.plan.groups if group.precision == "float"]
    assert [group.layers for group in kept] == [("Conv_0",)]
    assert kept[0].why == "kept by 'Conv_0'"


def test_what_was_measured_is_not_measured_again(
    calibrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also not if the search was interrupted, or is for another budget."""
    built: list[frozenset[str]] = []
    measure = Laboratory._measure

    def counted(self: Laboratory, plan: frozenset[str]) -> Any:
        if len(built) == 2:
            raise KeyboardInterrupt
        built.append(plan)
        return measure(self, plan)

    monkeypatch.setattr(Laboratory, "_measure", counted)
    with pytest.raises(KeyboardInterrupt):
        search(calibrated, tmp_path / "plan.yaml")
    assert not (tmp_path / "plan.yaml").exists()
    folder = search_folder(tmp_path / "plan.yaml")
    rows = (folder / "sensitivity.json").read_text()
    monkeypatch.setattr(Laboratory, "_measure", measure)
    first = search(calibrated, tmp_path / "plan.yaml")
    assert (folder / "sensitivity.json").read_text() == rows

    def never(self: Laboratory, plan: frozenset[str]) -> Any:
        raise AssertionError("measured again")

    monkeypatch.setattr(Laboratory, "_measure", never)
    again = search(calibrated, tmp_path / "plan.yaml")
    assert again.chosen == first.chosen
    assert len(json.loads((folder / "trials.json").read_text())["plans"]) == len(first.trials)


def test_a_bundle_tells_of_the_search_until_its_plan_is_edited(
    calibrated: Path, tmp_path: Path
) -> None:
    found = search(calibrated, tmp_path / "plan.yaml", Budget(max_shift=1e9))
    files = (calibrated / "model.onnx", calibrated / "model.calib", tmp_path / "plan.yaml")
    done = build(*files, "onnxruntime", tmp_path / "a.edge", keep_int8=True)
    assert done.search == replace(found, plan=PrecisionPlan.load(tmp_path / "plan.yaml"))
    with Bundle.open(done.bundle) as bundle:
        page = bundle.file("report.html").read_text()
        assert bundle.manifest["measured"]["search"]["budget"] == "a shift of at most 1e+09"
    for heading in ("The front", "The most sensitive groups", "Where float and INT8 differ most"):
        assert heading in page
    assert "http" not in page.replace("http://www.w3.org", "")
    text = (tmp_path / "plan.yaml").read_text().replace("precision: int8", "precision: float", 1)
    (tmp_path / "plan.yaml").write_text(text)
    assert HybridPlan.of(tmp_path / "plan.yaml", PrecisionPlan.load(tmp_path / "plan.yaml")) is None


def one_colour(folder: Path, value: int) -> Path:
    """A folder with one picture that is grey all over."""
    import cv2

    folder.mkdir()
    cv2.imwrite(str(folder / "grey.png"), np.full((96, 128, 3), value, np.uint8))
    return folder


def write_scaled_model(
    path: Path, factors: dict[tuple[int, int], float], depthwise: bool = False
) -> None:
    """The tiny model converted, and maybe its second layer made depthwise.

    What a layer's weight (1) or bias (2) is multiplied by: (number of the layer, 1 or 2) -> factor.
    """
    import onnx
    from onnx import helper, numpy_helper

    source = write_tiny_model(path.with_name("tiny.onnx"))
    if depthwise:
        model = onnx.load(source)
        (layer,) = (node for node in model.graph.node if node.output[0] == "c4")
        layer.attribute.append(helper.make_attribute("group", 16))
        (weight,) = (tensor for tensor in model.graph.initializer if tensor.name == "c4.w")
        value = np.ascontiguousarray(numpy_helper.to_array(weight)[:, :1])
        weight.CopyFrom(numpy_helper.from_array(value, "c4.w"))
        onnx.save(model, source)
    model = onnx.load(convert(source, path).output)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    layers = [node for node in model.graph.node if node.op_type == "Conv"]
    for (number, position), factor in factors.items():
        name = layers[number].input[position]
        value = numpy_helper.to_array(tensors[name]) * np.float32(factor)
        tensors[name].CopyFrom(numpy_helper.from_array(value, name))
    onnx.save(model, path)


@pytest.mark.parametrize("depthwise", [False, True])
def test_one_image_of_one_colour_is_enough(depthwise: bool, tmp_path: Path) -> None:
    """And the stem is dead: its channels are all zero."""
    write_scaled_model(tmp_path / "model.onnx", {(0, 1): 0.0, (0, 2): 0.0}, depthwise)
    images = one_colour(tmp_path / "images", 99)
    calibrate(tmp_path / "model.onnx", images, tmp_path / "model.calib")
    found = search_plan(
        tmp_path / "model.onnx", tmp_path / "model.calib", "openvino", tmp_path / "plan.yaml",
        Budget(max_shift=1e9), threads=1,
    )  # fmt: skip
    assert found.met
    assert np.isfinite([(trial.ms, trial.loss) for trial in found.trials]).all()
    assert (search_folder(tmp_path / "plan.yaml") / "latency.json").is_file()


def test_an_image_that_makes_infinite_values_ends_the_search_in_a_sentence(tmp_path: Path) -> None:
    """Calibration does not look at the outputs."""
    write_scaled_model(tmp_path / "model.onnx", {(-1, 1): 1e38})
    grey = one_colour(tmp_path / "grey", 99)
    files = (tmp_path / "model.onnx", tmp_path / "model.calib")
    calibrate(files[0], grey, files[1])
    with pytest.raises(EdgeError, match=r"'.*' of the float model holds NaN or infinite values"):
        search_plan(*files, "onnxruntime", tmp_path / "plan.yaml")
    assert not (tmp_path / "plan.yaml").exists()


def test_a_table_or_calibration_of_another_model_is_refused(
    calibrated: Path, tmp_path: Path
) -> None:
    other = convert(write_tiny_model(tmp_path / "o.onnx", seed=1), tmp_path / "other.onnx").output
    with pytest.raises(EdgeError, match="belongs to another model"):
        search_plan(other, calibrated / "model.calib", "onnxruntime", tmp_path / "plan.yaml")
    with pytest.raises(EdgeError, match="of the target 'onnxruntime', not of 'openvino'"):
        search_plan(
            calibrated / "model.onnx", calibrated / "model.calib", "openvino",
            tmp_path / "plan.yaml", latency=calibrated / "table.json",
        )  # fmt: skip
    assert not (tmp_path / "plan.yaml").exists()


def trial(name: str, ms: float, loss: float, bound: float | None = None) -> Trial:
    groups = frozenset() if name == "float" else frozenset({name})
    return Trial(name, groups, ms, loss, loss, 0.0, None if bound is None else 0.0, bound)


@pytest.mark.parametrize(
    ("budget", "name", "met"),
    [
        (Budget(max_shift=0.3), "good", True),
        (Budget(max_shift=2.0), "int8", True),
        (Budget(max_shift=0.01), "float", True),  # the only hybrid within it is not worth it
        (Budget(max_shift=0.001), "float", True),
        (Budget(max_drop=0.5, labels="x"), "good", True),
        (Budget(max_latency=8.0), "good", True),
        (Budget(max_latency=5.0), "int8", True),
        (Budget(max_latency=1.0), "int8", False),
        (Budget(max_shift=0.3, max_latency=8.0), "good", True),
        (Budget(max_shift=0.3, max_latency=5.0), "good", False),
    ],
)
def test_the_best_within_the_budget_is_chosen(budget: Budget, name: str, met: bool) -> None:
    trials = [
        trial("float", 10.0, 0.0, 0.0),
        trial("int8", 4.0, 1.0, 2.0),
        trial("good", 6.0, 0.2, 0.4),
        trial("slow", 9.9, 0.01, 0.0),
    ]
    chosen, kept, remark = choose(trials, budget)
    assert (chosen.name, kept) == (name, met)
    assert remark.endswith(".")


def test_a_limit_on_points_is_held_by_the_bound_of_the_loss() -> None:
    one = Trial("hybrid 1", frozenset({"a"}), 5.0, 0.1, 0.1, 0.0, drop=0.1, bound=0.6)
    assert not one.within(Budget(max_drop=0.5, labels="x"))
    assert one.within(Budget(max_drop=0.6, labels="x"))
    assert not one._replace(drop=None, bound=None).within(Budget(max_drop=0.6, labels="x"))


def row(whole: Shift, **groups: tuple[Shift, Shift]) -> dict[str, Shift]:
    """What was measured on an image: group -> (only it in INT8, all but it)."""
    alone = {f"+{name}": pair[0] for name, pair in groups.items()}
    return {"all": whole, **alone, **{f"-{name}": pair[1] for name, pair in groups.items()}}


def test_a_group_costs_the_mean_of_both_directions() -> None:
    whole = Shift(0.5, 0.5, 20.0)
    measured = row(
        whole,
        a=(Shift(0.1, 0.3, 30.0), Shift(0.3, 0.4, 25.0)),
        b=(Shift(0.1, 0.2, 30.0), Shift(0.0, 0.0, 25.0)),  # believed within a factor of four
    )
    losses = _losses(Sensitivity({"groups": ["a", "b"]}, {"image": measured}))
    assert losses["a"] == pytest.approx((0.19 + (0.75 - 0.46)) / 2)
    assert losses["b"] == pytest.approx((0.14 + 4 * 0.14) / 2)


class FakeLaboratory:
    """Every group shifts and slows as told; float takes 10 ms."""

    def __init__(self, losses: dict[str, float], points: float | None = None) -> None:
        self.losses, self.points = losses, points
        self.measured: list[frozenset[str]] = []

    def measure(self, plans: Any, progress: Any) -> dict[frozenset[str], Measured]:
        self.measured += plans
        return {plan: self._one(plan) for plan in plans}

    def _one(self, plan: frozenset[str]) -> Measured:
        loss = sum(self.losses[name] for name in plan)
        shift = Shift(0.6 * loss, (0.4 * loss) ** 0.5, 20.0)
        points = (None, None) if self.points is None else (0.0, self.points * loss)
        return Measured(1 - 0.05 * len(plan), shift, *points)


def searching(budget: Budget, points: float | None = None) -> tuple[_Search, FakeLaboratory]:
    """Eight groups whose true losses are twice what the sensitivity says, one ten times."""
    names = [f"g{number}" for number in range(8)]
    known = dict.fromkeys(names, 0.01)
    true = dict.fromkeys(names, 0.02) | {"g3": 0.1}
    latency = LatencyTable("k", "t", dict.fromkeys(names, GroupTime(1.0, 0.5)), {}, 2.0)
    laboratory = FakeLaboratory(true, points)
    groups = [PlanGroup(name, (name,), "int8") for name in names]
    problem = Problem(known, latency)
    return _Search(budget, problem, laboratory, groups, silent), laboratory  # type: ignore[arg-type]


def test_what_was_measured_corrects_what_is_believed() -> None:
    search, laboratory = searching(Budget(max_shift=0.2))
    whole = frozenset(laboratory.losses)
    plans = [whole, whole - {"g3"}, frozenset({"g3", "g4"})]
    search._measure(plans)
    for plan in plans:
        true = search.trials[plan]
        assert search.problem.estimate(plan).loss == pytest.approx(true.loss, rel=0.15)


def test_rounds_of_trials_lead_to_the_group_that_is_worse_than_believed() -> None:
    search, laboratory = searching(Budget(max_shift=0.16))
    chosen, met, _ = search.run()
    assert met
    assert chosen.int8 == frozenset(laboratory.losses) - {"g3"}
    assert len(laboratory.measured) == len(set(laboratory.measured))


def test_a_limit_on_points_becomes_one_on_the_loss() -> None:
    """Two points a unit of loss."""
    search, laboratory = searching(Budget(max_drop=0.3, labels="x"), points=2.0)
    search._measure([frozenset(), frozenset(laboratory.losses)])
    assert search._loss_bound() == pytest.approx(0.15)
    assert all(plan != frozenset(laboratory.losses) for plan in search._proposals())
    chosen, met, _ = search.run()
    assert met
    assert chosen.bound is not None
    assert 0.2 < chosen.bound <= 0.3
