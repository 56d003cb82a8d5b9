"""The search for the best hybrid: sensitivity and latency of each group in, one plan out.

1. Range methods are chosen (`plan_ranges`). How much loss every group then causes
   (`calibration.sensitivity`, on labelled objects if there are labels) and how long it takes in
   either precision (`profiling`) make a mixed-integer program (`calibration.search`).
2. The plans that it proposes around the budget are built; their true latency, shift and accuracy
   are measured (`plan_trials`) and correct the program. That is done three times, unless nothing
   new is proposed.
3. Of all plans measured the best within the budget is chosen: the fastest one if the loss is
   limited, else the most faithful one. If it is hardly faster than float, everything stays float.

What was found is drawn on a page beside the plan, NAME.html. All that was measured is kept in the
folder NAME.work there: a search that was interrupted goes on from it, and one with another budget
starts with what is known.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_sdk.budget import Budget
from edge_sdk.engine_trial import WORTHWHILE, EngineTrial
from edge_sdk.errors import EdgeError, MissingExtra
from edge_sdk.files import make_folder, scratch_folder, write_text
from edge_sdk.hybrid_plan import (
    ALL_INT8,
    BY_HAND,
    FLOAT,
    SEARCH,
    GroupFacts,
    HybridPlan,
    Trial,
    search_folder,
)
from edge_sdk.labelled_frames import labelled_frames
from edge_sdk.outputs import check_output
from edge_sdk.plan_ranges import chosen_ranges, planned_table
from edge_sdk.plan_trials import Int8, Laboratory
from edge_sdk.precision_plan import PlanGroup, PrecisionPlan
from edge_sdk.profiling import measure
from edge_sdk.progress import Progress, silent

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import onnx

    from edge_sdk.calibration import Calibration
    from edge_sdk.calibration.latency import LatencyTable
    from edge_sdk.calibration.search import Problem
    from edge_sdk.calibration.sensitivity import Sensitivity
    from edge_sdk.datasets.sample import Dataset
    from edge_sdk.head_spec import HeadSpec
    from edge_sdk.quantization_table import QuantizationTable

_ROUNDS = 3
_AROUND = (1.0, 0.7, 1.4)
"""Parts of the limit that plans are proposed for, since predictions are not exact."""
_BELIEVED = 4.0
"""Factor within which the two directions of a sensitivity may differ."""
AUTO = "auto"
_FEW = 8
"""Images that range methods are chosen on."""
_LABELLED = 256
"""Labelled images at most."""
_HEADS = "heads.*"
"""The layers that published recipes for YOLO-NAS keep float."""


def check_search(target: str, latency: Path | str | None) -> None:
    """Refuse what cannot be searched for here.

    Raises
    ------
    EdgeError
        If there is no such target, or its times can be measured elsewhere only and no table of
        them is given.
    MissingExtra
        If torch is not installed.
    """
    from edge_sdk.calibration.profiles import check as check_profiled
    from edge_sdk.converters.lowering import lowering

    if importlib.util.find_spec("torch") is None:
        raise MissingExtra("torch", "train", "The search for a hybrid")
    lowering(target)
    if latency is None:
        check_profiled(target)


def labelled_images(budget: Budget, spec: HeadSpec) -> Dataset | None:
    """Return the labelled images that a search measures accuracy on, if it does.

    Raises
    ------
    EdgeError
        If they cannot be used, or have other classes than the model.
    """
    from edge_sdk.datasets.opening import open_dataset
    from edge_sdk.evaluation.class_match import match_classes

    if budget.labels is None:
        return None
    dataset = open_dataset(budget.labels, budget.split).first(_LABELLED)
    match_classes(spec.class_names, dataset.names)
    return dataset


def search_plan(
    model: Path | str,
    calibration: Path | str,
    target: str,
    output: Path | str,
    budget: Budget | None = None,
    *,
    images: Path | str | None = None,
    latency: Path | str | None = None,
    keep_float: Sequence[str] = (),
    method: str = AUTO,
    threads: int | None = None,
    limit: int = 16,
    progress: Progress = silent,
) -> HybridPlan:
    """Search for the best hybrid within a budget and write its plan.

    If no plan keeps to the budget, the one that comes closest is written, and `met` is False.

    Parameters
    ----------
    model : a float ONNX file of `convert`.
    calibration : of this model, a file of `calibrate`.
    target : "openvino" or "onnxruntime".
    output : the plan to write (`plan.yaml`).
    budget : what the hybrid may cost; None limits the shift to `budget.DEFAULT_SHIFT`.
    images : to measure sensitivity and shift on; None takes those of the calibration.
    latency : a table that `profile` wrote on the target, if that is another machine.
    keep_float : patterns (`fnmatch`) of layer names that stay float, with their groups.
    method : how ranges are found; "auto" chooses for each group by the error that it causes.
    threads : that one inference may use; None leaves the choice to the library.
    limit : use at most so many of the images.
    progress : told of all steps.

    Raises
    ------
    EdgeError
        If a file cannot be used or belongs to another model or target, or there are no images.
    MissingExtra
        If torch is not installed, which measures the sensitivity.
    """
    from edge_sdk.calibration import Calibration
    from edge_sdk.calibration.search import Problem
    from edge_sdk.calibration.sensitivity import measure_sensitivity
    from edge_sdk.converters.layer_groups import layer_groups
    from edge_sdk.converters.model_file import head_spec_of, load_model, model_key
    from edge_sdk.converters.target import Target
    from edge_sdk.search_report import search_report

    check_search(target, latency)
    budget = budget or Budget()
    check_output(output, model, calibration, images, latency, budget.labels)
    graph = load_model(model)
    spec, key = head_spec_of(graph), model_key(graph)
    groups = layer_groups(graph, keep_float)
    counts = Calibration.load(calibration)
    dataset = labelled_images(budget, spec)
    frames, digests = _frames(images or _source(counts, calibration), limit, spec)
    folder = search_folder(output)
    make_folder(folder)
    exceptions: dict[str, str] = {}
    if method == AUTO:
        method, exceptions = chosen_ranges(
            counts, graph, groups, target, frames[:_FEW], folder / "ranges.json", progress
        )
    groups = [replace(group, ranges=exceptions.get(group.name, "")) for group in groups]
    table = planned_table(counts, graph, groups, target, method, exceptions)
    times = (
        _times(graph, spec, groups, table, target, threads, folder, progress)
        if latency is None
        else _given_times(latency, key, target, groups)
    )
    seen, objects = (frames, None) if dataset is None else labelled_frames(dataset, limit, spec)
    if not seen:
        seen, objects = frames, None  # no object is labelled, which the trials will say
    sensitivity = measure_sensitivity(
        graph, table, target, seen, folder / "sensitivity.json", objects=objects, progress=progress
    )
    facts = _facts(sensitivity, times)
    kept = frozenset(group.name for group in groups if group.precision == "float")
    with scratch_folder() as scratch:
        conditions = {"images": digests, "labels": _labels(dataset)}
        laboratory = Laboratory(
            graph, spec, table, target, groups, frames, dataset, folder / "trials.json",
            {**conditions, **_place(times.conditions, target)}, scratch, threads,
            timed=latency is None and Target.parse(target).on_cpu,
        )  # fmt: skip
        search = _Search(
            budget, Problem(_losses(sensitivity), times, kept), laboratory, groups, progress
        )
        chosen, met, remark = search.run()
    found = HybridPlan(
        PrecisionPlan(key, target, search.explained(chosen), method, f"For {budget}. {remark}"),
        str(budget),
        met,
        remark,
        chosen,
        tuple(search.trials.values()),
        tuple((one.loss, one.ms, len(one.int8)) for one in search.problem.front()),
        facts,
        {
            **times.conditions,
            "images": len(frames),
            "labels": _labels(dataset),
            "sensitivity": f"{len(sensitivity.images)} {'labelled' if objects else 'calibration'}",
        },
    )
    found.plan.save(output)
    found.save(folder / SEARCH)
    write_text(Path(output).with_suffix(".html"), search_report(found))
    return found


class _Search:
    """The rounds of proposing, measuring and correcting."""

    def __init__(
        self,
        budget: Budget,
        problem: Problem,
        laboratory: Laboratory,
        groups: Sequence[PlanGroup],
        progress: Progress,
    ) -> None:
        self.budget = budget
        self.problem = problem
        self.groups = groups
        self.trials: dict[Int8, Trial] = {}
        # Written so that all INT8 keeps its name where a model has no such heads.
        self._baselines = {
            frozenset[str](): FLOAT,
            _by_hand(groups): BY_HAND,
            frozenset(problem.losses): ALL_INT8,
        }
        self._prior = problem
        self._laboratory = laboratory
        self._progress = progress

    def run(self) -> tuple[Trial, bool, str]:
        """Return the chosen trial, whether it keeps to the budget, and a remark."""
        self._measure(list(self._baselines))
        front = self.problem.front()
        spread = [front[len(front) * part // 4].int8 for part in (1, 2, 3)]
        for number in range(_ROUNDS):
            proposed = [*self._proposals(), *(spread if number == 0 else ())]
            if not self._measure(proposed):
                break
        allowed = [trial for plan, trial in self.trials.items() if not plan & self.problem.kept]
        return choose(allowed, self.budget)

    def _measure(self, plans: Sequence[Int8]) -> bool:
        """Measure what is new, correct the problem by all that is known; tell if any was new."""
        new = [plan for plan in dict.fromkeys(plans) if plan not in self.trials]
        measured = self._laboratory.measure(new, self._progress)
        float_ms = self._prior.latency.predict(())
        for plan in new:
            name = self._baselines.get(
                plan, f"hybrid {len(self.trials) - len(self._baselines) + 1}"
            )
            ratio, shift, *points = measured[plan]
            ms = self._prior.latency.predict(plan) if ratio is None else ratio * float_ms
            self.trials[plan] = Trial(
                name, plan, ms, shift.loss, shift.scores, shift.boxes, *points
            )
        self.problem = self._prior.corrected(
            {plan: trial.loss for plan, trial in self.trials.items()},
            {plan: trial.ms for plan, trial in self.trials.items()},
        )
        return bool(new)

    def _proposals(self) -> list[Int8]:
        if self.budget.bounds_loss:
            bound = self._loss_bound()
            return [self.problem.fastest(part * bound) for part in _AROUND]
        assert self.budget.max_latency is not None
        bounds = [self.budget.max_latency * (0.95 + 0.05 * part) for part in _AROUND]
        plans = [self.problem.most_faithful(bound) for bound in bounds]
        return [self.problem.fastest() if plan is None else plan for plan in plans]

    def _loss_bound(self) -> float:
        """Return the limit as a loss; points are taken to grow with the loss, as in the trials.

        What counts is the bound of the points.
        """
        bound = math.inf if self.budget.max_shift is None else self.budget.max_shift
        if self.budget.max_drop is not None:
            pairs = [(t.loss, t.bound) for t in self.trials.values() if t.bound is not None]
            energy = sum(loss * loss for loss, _ in pairs)
            slope = sum(loss * points for loss, points in pairs) / energy if energy else 0.0
            if slope > 0:
                bound = min(bound, self.budget.max_drop / slope)
        return bound

    def explained(self, chosen: Trial) -> tuple[PlanGroup, ...]:
        """Return the groups with the precisions of the chosen plan, and why."""
        result = []
        for group in self.groups:
            time = self.problem.latency.groups[group.name]
            saved, shift = time.float_ms - time.int8_ms, self.problem.losses[group.name]
            price = f"{saved:.3f} ms; alone it shifts by {shift:.2g}"
            if group.name in chosen.int8:
                group = replace(group, precision="int8", why=f"saves {price}")
            elif group.precision == "int8":
                group = replace(group, precision="float", why=f"would save {price}")
            result.append(group)
        return tuple(result)


def choose(trials: Sequence[Trial], budget: Budget) -> tuple[Trial, bool, str]:
    """Return the best trial, whether it keeps to the budget, and what there is to say.

    Parameters
    ----------
    trials : float is the first of them.
    budget : with a limit on the loss the fastest trial within it is the best, whether or not it
        keeps to a limit on the latency; else the most faithful one within that latency.
    """
    first = trials[0]
    slowest = math.inf if budget.max_latency is None else budget.max_latency
    within = [trial for trial in trials if trial.within(budget)]
    quick = [trial for trial in within if trial.ms <= slowest]
    if not quick:
        best = min(within, key=lambda trial: trial.ms)
        return best, False, f"No plan keeps to it; the closest has {_figures(best, first)}."
    if budget.bounds_loss:
        best = min(quick, key=lambda trial: trial.ms)
    else:
        best = min(quick, key=lambda trial: (trial.loss, trial.ms))
    if best.int8 and first.ms < WORTHWHILE * best.ms and first.ms <= slowest:
        return first, True, (
            f"Float: the best hybrid within the budget is only {first.ms / best.ms:.2f} times as "
            "fast."
        )  # fmt: skip
    if not best.int8:
        return best, True, "Float: no hybrid within the budget is faster."
    return best, True, f"{_figures(best, first)}."


def _figures(trial: Trial, first: Trial) -> str:
    accuracy = ""
    if trial.drop is not None:
        accuracy = f", {trial.drop:.2f} points of mAP50-95 lost (95 % bound {trial.bound:.2f})"
    return (
        f"{trial.ms:.2f} ms ({first.ms / trial.ms:.2f} times as fast as float), a shift of "
        f"{trial.loss:.2g}{accuracy}"
    )


def _facts(sensitivity: Sensitivity, times: LatencyTable) -> dict[str, GroupFacts]:
    whole = sensitivity.all_int8.loss
    alone, without = sensitivity.alone, sensitivity.without
    return {
        name: GroupFacts(alone[name].loss, whole - without[name].loss, *time)
        for name, time in times.groups.items()
    }


def _losses(sensitivity: Sensitivity) -> dict[str, float]:
    """Return what every group adds: the mean of what it does alone and what leaving it out saves.

    The second is a small difference of large numbers, so it is believed within a factor.
    """
    whole, alone, without = sensitivity.all_int8, sensitivity.alone, sensitivity.without
    return {
        name: _mean(alone[name].loss, whole.loss - without[name].loss)
        for name in sensitivity.groups
    }


def _mean(alone: float, saved: float) -> float:
    return (alone + min(max(saved, alone / _BELIEVED), alone * _BELIEVED)) / 2


def _by_hand(groups: Sequence[PlanGroup]) -> Int8:
    """Return the plan of the published recipes; all INT8 if the model has no such layers."""
    return frozenset(
        group.name
        for group in groups
        if not any(fnmatchcase(layer, _HEADS) for layer in group.layers)
    )


def _source(calibration: Calibration, path: Path | str) -> str:
    if not calibration.source:
        raise EdgeError(
            f"The calibration {path} does not say where its images are: give them with --images."
        )
    return calibration.source


def _frames(
    source: Path | str, limit: int, spec: HeadSpec
) -> tuple[list[npt.NDArray[np.float32]], list[str]]:
    """Return the images as the network takes them, float32 [1, 3, H, W], and their digests."""
    import numpy as np

    from edge_sdk.calibration.pictures import read_pictures
    from edge_sdk.runtime.letterbox import Letterbox

    letterbox = Letterbox(spec.preprocessing, spec.input_size)
    frames, digests = [], []
    for picture, image in read_pictures(source, limit):
        frame = np.empty((1, 3, *spec.input_size), np.float32)
        letterbox(image, frame[0])
        frames.append(frame)
        digests.append(picture.digest())
    return frames, digests


def _labels(dataset: Dataset | None) -> str | None:
    if dataset is None:
        return None
    return f"{len(dataset)} images of {dataset.source}, split {dataset.split}"


def _given_times(
    path: Path | str, key: str, target: str, groups: Sequence[PlanGroup]
) -> LatencyTable:
    from edge_sdk.calibration.latency import LatencyTable

    times = LatencyTable.load(path)
    times.check(key, target, [group.name for group in groups])
    return times


def _times(
    graph: onnx.ModelProto,
    spec: HeadSpec,
    groups: Sequence[PlanGroup],
    table: QuantizationTable,
    target: str,
    threads: int | None,
    folder: Path,
    progress: Progress,
) -> LatencyTable:
    """Return the latency table of this machine: an earlier one of the same conditions, or new."""
    from edge_sdk.converters.model_file import model_key
    from edge_sdk.evaluation.conditions import conditions

    path = folder / "latency.json"
    try:
        known = _given_times(path, model_key(graph), target, groups)
        here = {**conditions(threads), "clock": EngineTrial(target, folder, threads).clock}
        if _place(known.conditions, target) == _place(here, target):
            return known
    except EdgeError:
        pass  # none yet, or of another model
    measured = measure(graph, spec, groups, table, target, threads, progress)
    measured.save(path)
    return measured


def _place(conditions: Mapping[str, Any], target: str) -> dict[str, Any]:
    """Return what latencies depend on."""
    return {name: conditions.get(name) for name in ("cpu", "threads", "clock", target)}
