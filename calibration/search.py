"""Which groups run in INT8: a mixed-integer program over measured losses and latencies.

For each group g, x_g = 1 if it is INT8; for each boundary (a, b) between neighbours, u = 1 if the
precision changes to INT8 there and d = 1 if it changes to float:

    u >= x_b - x_a,   d >= x_a - x_b,   u, d >= 0      (their prices keep them at their least)
    latency = rest + sum f_g + sum (i_g - f_g) x_g + sum up u + d down
    loss    = S + sqrt(B),   S = sum s_g x_g,   B = sum b_g x_g

The parts of a shift add up in two ways, as measurements show: the divergence of the scores is
quadratic in the noise, so the groups' divergences add up (s_g); the distance of the boxes is
linear in it, and independent noise adds up in squares (b_g, strides squared).

The program is linear; the loss is not. Under a bound L the condition (L - S)^2 >= B is replaced by
its tangent at S0, B + 2 (L - S0) S <= L^2 - S0^2, which is never laxer; the loss to be minimized by
its tangent S + B / (2 sqrt(B0)), which is never smaller. S0 and B0 are those of the last solution.

The sums are models. What building and measuring a few plans shows is fed back: the coefficients
move as little as possible, each in proportion to itself, until the sums meet the measurements
(least squares with a prior).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edge_sdk.calibration.latency import LatencyTable
from edge_sdk.calibration.muted import muted
from edge_sdk.errors import EdgeError

Int8 = frozenset[str]
"""A plan, as the names of the groups that run in INT8."""

_TIE = 1e-4
"""Weight of the quantity that is not minimized, so that among equals the better one is chosen."""
_TANGENTS = 2
"""Solutions of the linear program for one of the true one."""
_EDGE = 0.99
"""Part of a bound that the scores may fill where the tangent is drawn; at 1 it is vertical."""
_NOISE = 0.02
"""Relative error that a measured loss is taken to have."""
_TRUST = 0.5
"""Relative error that a group's predicted loss is taken to have."""


class Loss(NamedTuple):
    """What the quantization of a group, or of a plan, adds.

    Attributes
    ----------
    scores : divergence of the class probabilities, nats.
    boxes : squared distance of the boxes' sides, strides squared.
    """

    scores: float
    boxes: float

    @property
    def total(self) -> float:
        """The loss of a shift with these parts."""
        return self.scores + math.sqrt(self.boxes)


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

    losses: Mapping[str, Loss]
    latency: LatencyTable
    kept: Int8 = frozenset()

    def loss(self, int8: Collection[str]) -> Loss:
        """Predict the parts of a plan's loss."""
        parts = [self.losses[name] for name in int8]
        return Loss(sum(part.scores for part in parts), sum(part.boxes for part in parts))

    def estimate(self, int8: Collection[str]) -> Estimate:
        """Predict loss and latency of a plan."""
        return Estimate(frozenset(int8), self.loss(int8).total, self.latency.predict(int8))

    def fastest(self, max_loss: float = math.inf) -> Int8:
        """Return the fastest plan whose predicted loss is at most `max_loss`."""
        whole = self.loss(self.losses)
        if max_loss >= whole.total:
            return _solve(self, np.zeros(len(self.losses)))
        if max_loss <= 0:
            return _solve(self, self._weights(1.0, 1.0), bound=0.0)
        found = []
        for scores in (0.9 * max_loss * whole.scores / whole.total, _EDGE * max_loss):
            for _ in range(_TANGENTS):
                weights = self._weights(2 * (max_loss - scores), 1.0)
                found.append(_solve(self, weights, bound=max_loss**2 - scores**2))
                scores = min(self.loss(found[-1]).scores, _EDGE * max_loss)
        return min(found, key=self.latency.predict)

    def most_faithful(self, max_ms: float) -> Int8 | None:
        """Return the plan of least predicted loss within `max_ms`; None if there is none."""
        if self.estimate(self.fastest()).ms > max_ms:
            return None
        best: Int8 = frozenset()
        boxes = self.loss(self.losses).boxes
        for _ in range(_TANGENTS):
            weights = self._weights(1.0, 0.5 / math.sqrt(max(boxes, 1e-12)))
            best = _solve(self, weights, max_ms=max_ms)
            boxes = self.loss(best).boxes
        return best

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
        self, losses: Mapping[Int8, Loss], times: Mapping[Int8, float] | None = None
    ) -> Problem:
        """Return the problem with sums that meet what was measured.

        Parameters
        ----------
        losses : plan -> measured loss.
        times : plan -> measured milliseconds (see `LatencyTable.corrected`).
        """
        scores, boxes = (
            _refit(
                {name: loss[part] for name, loss in self.losses.items()},
                {plan: loss[part] for plan, loss in losses.items()},
            )
            for part in (0, 1)
        )
        return replace(
            self,
            losses={name: Loss(scores[name], boxes[name]) for name in self.losses},
            latency=self.latency.corrected(times or {}),
        )

    def _weights(self, scores: float, boxes: float) -> npt.NDArray[np.float64]:
        return np.array([self.losses[name] for name in self.latency.groups]) @ [scores, boxes]


def pareto(estimates: Sequence[Estimate]) -> list[Estimate]:
    """Return those that no other one beats, slowest first."""
    best: list[Estimate] = []
    for one in sorted(estimates, key=lambda one: (one.ms, one.loss)):
        if not best or one.loss < best[-1].loss:
            best.append(one)
    return best[::-1]


def _solve(
    problem: Problem,
    weights: npt.NDArray[np.float64],
    *,
    bound: float = math.inf,
    max_ms: float = math.inf,
) -> Int8:
    """Minimize latency under a bound on the weights' sum, or that sum under one on the latency."""
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
    whole = max(float(weights.sum()), 1e-30)
    gains = [table.groups[name].int8_ms - table.groups[name].float_ms for name in names]
    time = np.array([*gains, *(price for *_, price in changes)]) / base
    loss = np.concatenate([weights / whole, np.zeros(len(changes))])
    constraints = _orders(place, changes)
    if bound < math.inf:
        constraints.append(LinearConstraint(loss[None], -np.inf, max(bound, 0.0) / whole + 1e-9))
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
    """Move the groups' losses to where their sums meet the measured ones (Bayesian ridge)."""
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
    deviation = _TRUST * start
    noise = np.maximum(_NOISE * values, 1e-3 * max(float(values.max()), 1e-12))
    spread = rows * deviation**2
    gain = np.linalg.solve(spread @ rows.T + np.diag(noise**2), values - rows @ start)
    refined = np.maximum(start + spread.T @ gain, 0.1 * start)
    return dict(zip(names, refined.tolist(), strict=True))
