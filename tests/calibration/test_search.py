from itertools import combinations, pairwise

import numpy as np
import pytest

from edge_sdk.calibration.latency import Change, GroupTime, LatencyTable
from edge_sdk.calibration.search import Estimate, Loss, Problem, pareto

SCORES, BOXES, BOTH = (1.0, 0.0), (0.0, 1.0), (0.5, 0.5)
"""Which part of a shift the groups' losses are made of."""


def problem(
    seed: int = 0, groups: int = 8, mix: tuple[float, float] = BOTH, **options: object
) -> Problem:
    rng = np.random.default_rng(seed)
    names = [f"g{index}" for index in range(groups)]
    times = {}
    for name in names:
        slow = float(rng.uniform(1, 5))
        times[name] = GroupTime(slow, slow * float(rng.uniform(0.2, 1.1)))
    changes = {pair: Change(*rng.uniform(0, 1, 2).tolist()) for pair in pairwise(names)}
    parts = rng.exponential(1.0, (groups, 2)) * mix
    losses = {name: Loss(*part) for name, part in zip(names, parts.tolist(), strict=True)}
    return Problem(losses, LatencyTable("k", "t", times, changes, 0.5), **options)  # type: ignore[arg-type]


def everything(one: Problem) -> list[Estimate]:
    names = sorted(set(one.losses) - one.kept)
    subsets = (c for count in range(len(names) + 1) for c in combinations(names, count))
    return [one.estimate(subset) for subset in subsets]


@pytest.mark.parametrize(("mix", "slack"), [(SCORES, 0.05), (BOXES, 1e-3), (BOTH, 0.05)])
@pytest.mark.parametrize("seed", range(3))
def test_the_fastest_plan_within_a_loss_is_found(
    seed: int, mix: tuple[float, float], slack: float
) -> None:
    one = problem(seed, mix=mix)
    for bound in (0.0, 0.7, 2.0, 100.0):
        best = min(plan.ms for plan in everything(one) if plan.loss <= bound)
        found = one.estimate(one.fastest(bound))
        assert found.ms <= best * (1 + slack)
        assert found.loss <= bound + 1e-6


@pytest.mark.parametrize(("mix", "slack"), [(SCORES, 2e-3), (BOXES, 2e-3), (BOTH, 0.1)])
@pytest.mark.parametrize("seed", range(3))
def test_the_most_faithful_plan_within_a_latency_is_found(
    seed: int, mix: tuple[float, float], slack: float
) -> None:
    one = problem(seed, mix=mix)
    fastest, float_ms = one.estimate(one.fastest()).ms, one.estimate(()).ms
    for part in (0.02, 0.3, 0.8, 1.0):
        bound = fastest + part * (float_ms - fastest)
        best = min(plan.loss for plan in everything(one) if plan.ms <= bound)
        plan = one.most_faithful(bound)
        assert plan is not None
        found = one.estimate(plan)
        assert found.loss <= best * (1 + slack) + 2e-3
        assert found.ms <= bound * (1 + 1e-6)


def test_parts_of_a_loss_add_up_each_in_its_way() -> None:
    latency = LatencyTable("k", "t", dict.fromkeys("ab", GroupTime(2.0, 1.0)), {}, 0.0)
    one = Problem({"a": Loss(0.1, 0.09), "b": Loss(0.2, 0.16)}, latency)
    assert one.estimate({"a"}).loss == pytest.approx(0.1 + 0.3)
    assert one.estimate({"a", "b"}).loss == pytest.approx(0.3 + 0.5)


def test_the_price_of_boxes_is_that_of_the_plan_at_hand() -> None:
    """Beside the third group the boxes of the second look free; without it they are not."""
    latency = LatencyTable("k", "t", dict.fromkeys("abc", GroupTime(2.0, 1.0)), {}, 0.0)
    losses = {"a": Loss(0.02, 0.0), "b": Loss(0.0, 0.05**2), "c": Loss(0.0, 1.0)}
    assert Problem(losses, latency).most_faithful(5.0) == {"a"}


def test_a_latency_below_the_fastest_plan_has_none() -> None:
    one = problem()
    assert one.most_faithful(one.estimate(one.fastest()).ms * 0.99) is None


def test_groups_that_must_stay_float_do() -> None:
    kept = frozenset({"g1", "g4"})
    one = problem(kept=kept)
    assert not one.fastest() & kept
    assert not one.front()[-1].int8 & kept
    best = min(plan.ms for plan in everything(one))
    assert one.estimate(one.fastest()).ms == pytest.approx(best, rel=1e-3)


def test_dear_changes_keep_neighbours_together() -> None:
    names = ["a", "b", "c"]
    times = dict.fromkeys(names, GroupTime(2.0, 1.0))
    losses = {"a": Loss(0.1, 0.0), "b": Loss(5.0, 0.0), "c": Loss(0.1, 0.0)}
    for price, expected in ((0.0, {"a", "c"}), (3.0, set())):
        changes = dict.fromkeys((("a", "b"), ("b", "c")), Change(price, price))
        one = Problem(losses, LatencyTable("k", "t", times, changes, 0.0))
        assert one.fastest(1.0) == expected


def test_the_front_goes_from_float_to_the_fastest_and_only_improves() -> None:
    one = problem(groups=10)
    front = one.front()
    assert front[0].int8 == frozenset()
    assert front[-1].ms == pytest.approx(one.estimate(one.fastest()).ms)
    assert all(a.ms > b.ms and a.loss < b.loss for a, b in pairwise(front))
    assert front == pareto(front)


def test_pareto_drops_what_is_beaten() -> None:
    good, worse, better = (Estimate(frozenset(name), *v) for name, v in
                           (("a", (1.0, 2.0)), ("b", (1.0, 3.0)), ("c", (0.5, 5.0))))  # fmt: skip
    assert pareto([worse, better, good]) == [better, good]


@pytest.mark.parametrize("part", [0, 1])
def test_losses_that_do_not_add_up_are_corrected_by_measurements(part: int) -> None:
    one = problem(mix=(SCORES, BOXES)[part])
    names = frozenset(one.losses)
    truth = {name: 0.5 * loss[part] for name, loss in one.losses.items()}
    truth["g2"] *= 3
    plans = [names, names - {"g2"}, frozenset({"g2", "g3"})]
    measured = {}
    for plan in plans:
        parts = [0.0, 0.0]
        parts[part] = sum(truth[name] for name in plan)
        measured[plan] = Loss(*parts)
    corrected = one.corrected(measured)
    for plan in plans:
        assert corrected.loss(plan)[part] == pytest.approx(measured[plan][part], rel=0.1)
    assert corrected.losses["g2"][part] > 1.2 * one.losses["g2"][part] * 0.5
    assert all(loss[part] >= 0 for loss in corrected.losses.values())


def test_one_measurement_of_everything_scales_all_groups_alike() -> None:
    one = problem()
    whole = one.loss(one.losses)
    tenfold = Loss(10 * whole.scores, 10 * whole.boxes)
    corrected = one.corrected({frozenset(one.losses): tenfold})
    for name, loss in one.losses.items():
        assert corrected.losses[name] == pytest.approx((10 * loss.scores, 10 * loss.boxes))


def test_the_price_of_changes_is_corrected_and_the_pure_plans_stay() -> None:
    one = problem()
    names = frozenset(one.losses)
    mixed = frozenset({"g0", "g3", "g4"})
    true = one.latency.scaled(2.0).predict(mixed)
    corrected = one.corrected({}, {mixed: true, frozenset(): one.latency.predict(())})
    assert corrected.latency.predict(mixed) == pytest.approx(true)
    assert corrected.latency.predict(names) == pytest.approx(one.latency.predict(names))


def test_a_model_that_loses_nothing_runs_in_int8() -> None:
    one = problem()
    free = Problem(dict.fromkeys(one.losses, Loss(0.0, 0.0)), one.latency)
    assert free.fastest(0.0) == free.fastest()
    assert free.corrected({frozenset(one.losses): Loss(0.0, 0.0)}).losses == free.losses


def test_the_solver_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """On this problem HiGHS, left alone, prints lines of its debugging."""
    problem(4, groups=12).front(8)
    assert capfd.readouterr() == ("", "")
