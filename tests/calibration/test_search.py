from itertools import combinations, pairwise

import numpy as np
import pytest

from edge_sdk.calibration.latency import Change, GroupTime, LatencyTable
from edge_sdk.calibration.search import Estimate, Problem, pareto


def problem(seed: int = 0, groups: int = 8, **options: object) -> Problem:
    rng = np.random.default_rng(seed)
    names = [f"g{index}" for index in range(groups)]
    times = {}
    for name in names:
        slow = float(rng.uniform(1, 5))
        times[name] = GroupTime(slow, slow * float(rng.uniform(0.2, 1.1)))
    changes = {pair: Change(*rng.uniform(0, 1, 2).tolist()) for pair in pairwise(names)}
    losses = dict(zip(names, rng.exponential(1.0, groups).tolist(), strict=True))
    return Problem(losses, LatencyTable("k", "t", times, changes, 0.5), **options)  # type: ignore[arg-type]


def everything(one: Problem) -> list[Estimate]:
    names = sorted(set(one.losses) - one.kept)
    subsets = (c for count in range(len(names) + 1) for c in combinations(names, count))
    return [one.estimate(subset) for subset in subsets]


@pytest.mark.parametrize("seed", range(3))
def test_the_fastest_plan_within_a_loss_is_found(seed: int) -> None:
    one = problem(seed)
    for bound in (0.0, 0.7, 2.0, 100.0):
        best = min(plan.ms for plan in everything(one) if plan.loss <= bound)
        found = one.estimate(one.fastest(bound))
        assert found.ms <= best * (1 + 1e-3)
        assert found.loss <= bound + 1e-6


@pytest.mark.parametrize("seed", range(3))
def test_the_most_faithful_plan_within_a_latency_is_found(seed: int) -> None:
    one = problem(seed)
    fastest, float_ms = one.estimate(one.fastest()).ms, one.estimate(()).ms
    for part in (0.02, 0.3, 0.8, 1.0):
        bound = fastest + part * (float_ms - fastest)
        best = min(plan.loss for plan in everything(one) if plan.ms <= bound)
        plan = one.most_faithful(bound)
        assert plan is not None
        found = one.estimate(plan)
        assert found.loss <= best + 2e-3
        assert found.ms <= bound * (1 + 1e-6)


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
    losses = {"a": 0.1, "b": 5.0, "c": 0.1}
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


def test_losses_that_do_not_add_up_are_corrected_by_measurements() -> None:
    one = problem()
    names = frozenset(one.losses)
    truth = {name: 0.5 * loss for name, loss in one.losses.items()}
    truth["g2"] *= 3
    plans = [names, names - {"g2"}, frozenset({"g2", "g3"})]
    measured = {plan: sum(truth[name] for name in plan) for plan in plans}
    corrected = one.corrected(measured)
    for plan in plans:
        assert corrected.estimate(plan).loss == pytest.approx(measured[plan], rel=0.1)
    assert corrected.losses["g2"] > 1.2 * one.losses["g2"] * 0.5
    assert all(loss >= 0 for loss in corrected.losses.values())


def test_one_measurement_of_everything_scales_all_groups_alike() -> None:
    one = problem()
    tenfold = 10 * sum(one.losses.values())
    corrected = one.corrected({frozenset(one.losses): tenfold})
    for name, loss in one.losses.items():
        assert corrected.losses[name] == pytest.approx(10 * loss)


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
    free = Problem(dict.fromkeys(one.losses, 0.0), one.latency)
    assert free.fastest(0.0) == free.fastest()
    assert free.corrected({frozenset(one.losses): 0.0}).losses == free.losses


def test_the_solver_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """On this problem HiGHS, left alone, prints lines of its debugging."""
    problem(4, groups=12).front(8)
    assert capfd.readouterr() == ("", "")
