"""How long every layer group takes in float and in INT8, and what changing between them costs.

The engine's own profile of the all-float and of the all-INT8 engine gives each group its two
times: the kernels of its layers and of the nodes that work for it (see `group_graph`). Profiles
of a few mixed plans give the price of every boundary: whatever a group takes longer there than in
the engine of one precision, shared out over its boundaries that change precision in that plan, by
least squares without negative prices. The profile's times are scaled so that both pure engines
sum up to their true latency, which is timed without the profiler.

    latency(plan) = rest + sum of t[group, precision] + sum of prices of the changes
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edge_sdk.calibration.correction import posterior
from edge_sdk.calibration.group_graph import Boundary, GroupGraph
from edge_sdk.calibration.profiles import Kernel
from edge_sdk.converters.target import Target
from edge_sdk.errors import EdgeError
from edge_sdk.files import write_text
from edge_sdk.precision_plan import PlanGroup

SCHEMA = 1
_TRUST, _UNKNOWN = 0.5, 0.1
"""Error that a saving or a price is taken to have: so much of itself, and so much of what a group
takes on average. Of 0.2 to 1, and none to 0.3, none foretold later trials better."""
_NOISE = 0.01
"""Error of a measured latency, as a part of float's."""
_RIDGE = 0.3
"""Pull of the boundary prices towards zero, against one measurement."""


class GroupTime(NamedTuple):
    """Milliseconds of one group."""

    float_ms: float
    int8_ms: float


class Change(NamedTuple):
    """Milliseconds that a boundary costs, by the precision behind it."""

    to_int8: float
    to_float: float


@dataclass(frozen=True)
class LatencyTable:
    """The latency of any plan of one model on one target, as a sum.

    Attributes
    ----------
    model_key : of the float model.
    target : the engine that was measured.
    groups : group -> its times, in the order of the graph.
    changes : (group before, group behind) -> what it costs if they differ.
    rest : milliseconds that no plan changes.
    conditions : machine, threads, versions, repetitions and date of the measurement.
    """

    model_key: str
    target: str
    groups: dict[str, GroupTime]
    changes: dict[Boundary, Change]
    rest: float
    conditions: dict[str, Any] = field(default_factory=dict)

    def predict(self, int8: Collection[str]) -> float:
        """Return the milliseconds of the plan in which the named groups are INT8."""
        total = self.rest
        for name, time in self.groups.items():
            total += time.int8_ms if name in int8 else time.float_ms
        for (before, behind), change in self.changes.items():
            if (before in int8) != (behind in int8):
                total += change.to_int8 if behind in int8 else change.to_float
        return total

    def scaled(self, changes: float, int8: float = 1.0) -> LatencyTable:
        """Return a table with the prices of changes and the INT8 times times a factor each."""
        return replace(
            self,
            groups={
                name: GroupTime(time.float_ms, int8 * time.int8_ms)
                for name, time in self.groups.items()
            },
            changes={
                boundary: Change(changes * change.to_int8, changes * change.to_float)
                for boundary, change in self.changes.items()
            },
        )

    def corrected(self, times: Mapping[frozenset[str], float]) -> LatencyTable:
        """Return the table that fits measured latencies: plan -> milliseconds.

        The INT8 times are scaled to meet the plan of all groups, if it was measured; then the
        prices of changes to fit the others by least squares; then what each group saves and what
        each change costs is moved to where their sums meet the measurements (`correction`), since
        a search is drawn to the very groups that the profile flatters.
        """
        everything = frozenset(self.groups)
        work = sum(time.int8_ms for time in self.groups.values())
        factor = 1.0
        if everything in times and work > 0:
            factor = max(times[everything] - self.rest, 0.1 * work) / work
        table = self.scaled(1.0, factor)
        costs = np.array([table.change_cost(plan) for plan in times])
        beside = np.array([ms - table.scaled(0.0).predict(plan) for plan, ms in times.items()])
        energy = float(costs @ costs)
        if energy:
            table = table.scaled(float(np.clip(costs @ beside / energy, 0.1, 10.0)))
        return table._moved(times) if times else table

    def _moved(self, times: Mapping[frozenset[str], float]) -> LatencyTable:
        """Return the table whose groups and changes, each by itself, fit measured latencies."""
        savings = [time.float_ms - time.int8_ms for time in self.groups.values()]
        prices = [price for change in self.changes.values() for price in change]
        prior = np.array([*savings, *prices])
        slow = self.predict(())
        rows = np.array([self._row(plan) for plan in times])
        gains = np.array([ms - slow for ms in times.values()])
        deviation = _TRUST * np.abs(prior) + _UNKNOWN * slow / len(self.groups)
        error = np.full(len(rows), _NOISE * slow)
        moved = posterior(prior, deviation, rows, gains, error)
        saved, paid = np.split(moved, [len(self.groups)])
        groups = {
            name: GroupTime(time.float_ms, max(time.float_ms - saving, 0.0))
            for (name, time), saving in zip(self.groups.items(), saved.tolist(), strict=True)
        }
        pairs = np.maximum(paid, 0.0).reshape(-1, 2).tolist()
        changes = {name: Change(*pair) for name, pair in zip(self.changes, pairs, strict=True)}
        return replace(self, groups=groups, changes=changes)

    def _row(self, int8: Collection[str]) -> list[float]:
        """Return how often the saving of each group and the price of each change is in a plan."""
        saved = [-float(name in int8) for name in self.groups]
        paid = [float(_differs(pair, int8, way)) for pair in self.changes for way in (1, 0)]
        return saved + paid

    def change_cost(self, int8: Collection[str]) -> float:
        """Return the milliseconds that the changes of precision of a plan cost."""
        return self.predict(int8) - self.scaled(0.0).predict(int8)

    def check(self, model_key: str, target: str, groups: Collection[str]) -> None:
        """Refuse the table if it is not of a model, a target's library and its groups.

        Raises
        ------
        EdgeError
            If one of them differs.
        """
        if self.model_key != model_key or set(self.groups) != set(groups):
            raise EdgeError(
                f"The latency table is of another model (its key starts with "
                f"{self.model_key[:12]!r}, this model's with {model_key[:12]!r}): measure this one "
                "with `edge-sdk profile`."
            )
        if Target.parse(self.target).library != Target.parse(target).library:
            raise EdgeError(
                f"The latency table is of the target {self.target!r}, not of {target!r}: measure "
                "on that target with `edge-sdk profile`."
            )

    def save(self, path: Path | str) -> None:
        """Write the table as JSON."""
        values = {
            "schema": SCHEMA,
            "model_key": self.model_key,
            "target": self.target,
            "conditions": self.conditions,
            "rest_ms": self.rest,
            "groups": [{"name": name, **time._asdict()} for name, time in self.groups.items()],
            "changes": [
                {"before": before, "behind": behind, **change._asdict()}
                for (before, behind), change in self.changes.items()
            ],
        }
        write_text(path, json.dumps(values, indent=1))

    @classmethod
    def load(cls, path: Path | str) -> LatencyTable:
        """Read what `save` wrote, here or on another machine.

        Raises
        ------
        EdgeError
            If the file cannot be read or is not a latency table.
        """
        try:
            values = json.loads(Path(path).read_bytes())
        except OSError as error:
            raise EdgeError(f"Cannot read the latency table {path}: {error.strerror}.") from error
        except ValueError as error:
            raise EdgeError(
                f"{path} is not a latency table: make one with `edge-sdk profile`."
            ) from error
        try:
            return cls._from_dict(values)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise EdgeError(
                f"{path} is not a latency table ({error!r}): make one with `edge-sdk profile`."
            ) from error

    @classmethod
    def _from_dict(cls, values: dict[str, Any]) -> LatencyTable:
        if values["schema"] != SCHEMA:
            raise ValueError(f"schema {values['schema']}, this version reads {SCHEMA}")
        groups = {
            str(entry["name"]): GroupTime(_time(entry["float_ms"]), _time(entry["int8_ms"]))
            for entry in values["groups"]
        }
        changes = {
            (str(entry["before"]), str(entry["behind"])): Change(
                _time(entry["to_int8"]), _time(entry["to_float"])
            )
            for entry in values["changes"]
        }
        if unknown := {name for boundary in changes for name in boundary} - set(groups):
            raise ValueError(f"a change at {min(unknown)!r}, which is no group")
        return cls(
            str(values["model_key"]),
            str(values["target"]),
            groups,
            changes,
            _time(values["rest_ms"]),
            dict(values["conditions"]),
        )


def mixed_plans(groups: Sequence[PlanGroup]) -> list[frozenset[str]]:
    """Return the plans to be profiled beside the pure ones.

    INT8 and float alternate in runs of 1, 2 and 4 groups, each plan with its opposite, so that
    neighbours meet in every combination.
    """
    names = [group.name for group in groups]
    plans = []
    for run in (1, 2, 4):
        here = frozenset(name for place, name in enumerate(names) if place // run % 2)
        plans += [here, frozenset(names) - here]
    return list(dict.fromkeys(plan for plan in plans if 0 < len(plan) < len(names)))


def latency_table(
    model_key: str,
    target: str,
    graph: GroupGraph,
    groups: Sequence[PlanGroup],
    profiles: Mapping[frozenset[str], Sequence[Kernel]],
    float_ms: float,
    int8_ms: float,
    conditions: dict[str, Any],
) -> LatencyTable:
    """Make the table out of profiles.

    Parameters
    ----------
    model_key, target, conditions : see `LatencyTable`.
    graph : of the float model.
    groups : its layer groups.
    profiles : INT8 groups of a plan -> its engine's kernels; at least no group and all groups.
    float_ms, int8_ms : true latency of these two engines.
    """
    names = [group.name for group in groups]
    times = {plan: _by_group(graph, names, kernels) for plan, kernels in profiles.items()}
    pure_float, pure_int8 = times[frozenset()], times[frozenset(names)]
    up = float_ms / max(sum(pure_float.values()), 1e-9)
    rest = pure_float[None] * up
    down = max(int8_ms - rest, 0.0) / max(sum(pure_int8.values()) - pure_int8[None], 1e-9)
    costs: dict[Boundary, list[float]] = {boundary: [0.0, 0.0] for boundary in graph.boundaries}
    for name in names:
        touching = [boundary for boundary in graph.boundaries if name in boundary]
        rows, excess = [], []
        for plan, mixed in times.items():
            rows.append([_differs(boundary, plan, way) for boundary in touching for way in (1, 0)])
            pure = pure_int8 if name in plan else pure_float
            excess.append(mixed[name] - pure[name])
        prices = _least_squares(np.array(rows, float), np.array(excess))
        for place, price in enumerate(prices):
            costs[touching[place // 2]][place % 2] += price * math.sqrt(up * down)
    return LatencyTable(
        model_key,
        target,
        {name: GroupTime(pure_float[name] * up, pure_int8[name] * down) for name in names},
        {boundary: Change(*prices) for boundary, prices in costs.items()},
        rest,
        conditions,
    )


def _by_group(
    graph: GroupGraph, names: Sequence[str], kernels: Sequence[Kernel]
) -> dict[str | None, float]:
    """Return the time of each group; under None what belongs to no group.

    A kernel of unknown name (a reordering that the engine put in) belongs to the one run next.
    """
    times: dict[str | None, float] = {None: 0.0, **dict.fromkeys(names, 0.0)}
    waiting = 0.0
    for kernel in kernels:
        owners = graph.owners(kernel.labels)
        if owners is None:
            waiting += kernel.ms
            continue
        for owner in owners or (None,):
            times[owner] += (kernel.ms + waiting) / max(len(owners), 1)
        waiting = 0.0
    times[None] += waiting
    return times


def _differs(boundary: Boundary, plan: Collection[str], to_int8: int) -> bool:
    before, behind = (name in plan for name in boundary)
    return before != behind and behind == bool(to_int8)


def _least_squares(
    rows: npt.NDArray[np.float64], values: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return prices of at least 0 that explain the values, drawn to zero a little."""
    from scipy.optimize import nnls

    count = rows.shape[1]
    if not count:
        return np.zeros(0)
    solution: npt.NDArray[np.float64] = nnls(
        np.vstack([rows, _RIDGE * np.eye(count)]), np.concatenate([values, np.zeros(count)])
    )[0]
    return solution


def _time(value: Any) -> float:
    time = float(value)
    if not 0 <= time < math.inf:
        raise ValueError(f"a time of {time}")
    return time
