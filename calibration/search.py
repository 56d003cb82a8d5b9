"""Which groups run in INT8: a mixed-integer program over measured losses and latencies.

For each group g, x_g = 1 if it is INT8; for each boundary (a, b) between neighbours, u = 1 if the
precision changes to INT8 there and d = 1 if it changes to float:

    u >= x_b - x_a,   d >= x_a - x_b,   u, d >= 0      (their prices keep them at their least)
    latency = rest + sum f_g + sum (i_g - f_g) x_g + sum up u + d down
    loss    = sum l_g x_g

Losses add up because both parts of a shift are quadratic in the noise of the rounding, and the
noises of different groups are independent (see `shift`).

The sums are models. What building and measuring a few plans shows is fed back: the coefficients
move as little as possible, each in proportion to itself, until the sums meet the measurements
(see `correction`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from edge_sdk.calibration.correction import posterior
from edge_sdk.calibration.latency import LatencyTable
from edge_sdk.calibration.muted import muted
from edge_sdk.errors import EdgeError

Int8 = frozenset[str]
"""A plan, as the names of the groups that run in INT8."""

_TIE = 1e-4
"""Weight of the quantity that is not minimized, so that among equals the better one is chosen."""
_NOISE = 0.02
"""Relative error that a measured loss is taken to have."""
_TRUST = 0.5
"""Relative error that a group's predicted loss is taken to have."""


class Estimate(NamedTuple):
    """What a plan is predicted to cost."""

    int8: Int8
    loss: float
    ms: float


@dataclass(frozen=True)
class Problem:
    """What the search knows.

    Attributes
    ----------
    losses : group -> what its quantization adds, at least 0.
    latency : the times of the same groups.
    kept : groups that stay float whatever it costs.
    """

    losses: Mapping[str, float]
    latency: LatencyTable
    kept: Int8 = frozenset()

    def estimate(self, int8: Collection[str]) -> Estimate:
        """Predict loss and latency of a plan."""
        loss = sum(self.losses[name] for name in int8)
        return Estimate(frozenset(int8), loss, self.latency.predict(int8))

    def fastest(self, max_loss: float = math.inf) -> Int8:
        """Return the fastest plan whose predicted loss is at most `max_loss`."""
        return _solve(self, max_loss=max_loss)

    def most_faithful(self, max_ms: float) -> Int8 | None:
        """Return the plan of least predicted loss within `max_ms`; None if there is none."""
        if self.estimate(self.fastest()).ms > max_ms:
            return None
        return _solve(self, max_ms=max_ms)

    def front(self, points: int = 16) -> list[Estimate]:
        """Return the predicted Pareto front, slowest and most faithful first.

        Parameters
        ----------
        points : bounds on the latency that are tried, evenly from the fastest plan's to float's.
        """
        end = self.estimate(self.fastest())
        start = self.estimate(frozenset())
        bounds = np.linspace(start.ms, end.ms, points)[1:-1]
        plans = [self.most_faithful(float(bound)) for bound in bounds]
        return pareto([start, *(self.estimate(plan) for plan in plans if plan is not None), end])

    def corrected(
        self, losses: Mapping[Int8, float], times: Mapping[Int8, float] | None = None
    ) -> Problem:
        """Return the problem with sums that meet what was measured.

        Parameters
        ----------
        losses : plan -> measured loss.
        times : plan -> measured milliseconds (see `LatencyTable.corrected`).
        """
        return replace(
            self,
            losses=_refit(self.losses, losses),
            latency=self.latency.corrected(times or {}),
        )


def pareto(estimates: Sequence[Estimate]) -> list[Estimate]:
    """Return those that no other one beats, slowest first."""
    best: list[Estimate] = []
    for one in sorted(estimates, key=lambda one: (one.ms, one.loss)):
        if not best or one.loss < best[-1].loss:
            best.append(one)
    return best[::-1]


def _solve(problem: Problem, *, max_loss: float = math.inf, max_ms: float = math.inf) -> Int8:
    """Minimize the latency under a bound on the loss, or the loss under one on the latency."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    table = problem.latency
    names = list(table.groups)
    place = {name: index for index, name in enumerate(names)}
    changes = [
        (off, on, price)
        for (before, behind), change in table.changes.items()
        for off, on, price in (
            (before, behind, change.to_int8),
            (behind, before, change.to_float),
        )
        if price > 0
    ]
    # In parts of the float latency and of the whole sum, so that all numbers are of one size.
    base = max(table.predict(()), 1e-9)
    losses = np.array([problem.losses[name] for name in names])
    whole = max(float(losses.sum()), 1e-30)
    gains = [table.groups[name].int8_ms - table.groups[name].float_ms for name in names]
    time = np.array([*gains, *(price for *_, price in changes)]) / base
    loss = np.concatenate([losses / whole, np.zeros(len(changes))])
    constraints = _orders(place, changes)
    if max_loss < math.inf:
        constraints.append(LinearConstraint(loss[None], -np.inf, max(max_loss, 0.0) / whole + 1e-9))
    if max_ms < math.inf:
        constraints.append(LinearConstraint(time[None], -np.inf, max_ms / base - 1 + 1e-9))
    goal = time + _TIE * loss if max_ms == math.inf else loss + _TIE * time
    free = np.array([name not in problem.kept for name in names] + [True] * len(changes))
    with muted():
        result = milp(
            goal,
            integrality=np.arange(len(goal)) < len(names),
            bounds=Bounds(0.0, free.astype(float)),
            constraints=constraints,
            options={"mip_rel_gap": 1e-4, "time_limit": 10},
        )
    if result.x is None:
        raise EdgeError(f"The search for a plan failed: {result.message}")
    return frozenset(name for name, value in zip(names, result.x, strict=False) if value > 0.5)


def _orders(place: Mapping[str, int], changes: Sequence[tuple[str, str, float]]) -> list[Any]:
    """Return the constraints change >= x_on - x_off."""
    from scipy.optimize import LinearConstraint
    from scipy.sparse import csr_array

    if not changes:
        return []
    rows = np.repeat(np.arange(len(changes)), 3)
    columns = [
        column
        for index, (off, on, _) in enumerate(changes)
        for column in (place[on], place[off], len(place) + index)
    ]
    values = np.tile([1.0, -1.0, -1.0], len(changes))
    matrix = csr_array((values, (rows, columns)), shape=(len(changes), len(place) + len(changes)))
    return [LinearConstraint(matrix, -np.inf, 0.0)]


def _refit(prior: Mapping[str, float], measured: Mapping[Int8, float]) -> dict[str, float]:
    """Move the groups' losses to where their sums meet the measured ones."""
    names = list(prior)
    start = np.array([prior[name] for name in names])
    plans = [plan for plan in measured if plan]
    if not plans or not start.any():
        return dict(prior)
    rows = np.array([[name in plan for name in names] for plan in plans], float)
    values = np.array([measured[plan] for plan in plans])
    # First one factor for all, from the plan with most in it; then each group by itself.
    full = int(np.argmax(rows @ start))
    start = start * max(values[full], 0.0) / float(rows[full] @ start)
    error = np.maximum(_NOISE * values, 1e-3 * max(float(values.max()), 1e-12))
    refined = np.maximum(posterior(start, _TRUST * start, rows, values, error), 0.1 * start)
    return dict(zip(names, refined.tolist(), strict=True))
