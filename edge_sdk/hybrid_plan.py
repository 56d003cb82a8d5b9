"""What a search for a hybrid has found: the chosen plan, and all that was measured on the way."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from edge_sdk.budget import Budget
from edge_sdk.files import write_text
from edge_sdk.precision_plan import PrecisionPlan

SEARCH = "search.json"
FLOAT, ALL_INT8, BY_HAND = "float", "all INT8", "heads in float"
"""Names of the plans that a search compares with."""


class Trial(NamedTuple):
    """One plan with what it costs.

    Attributes
    ----------
    name : for people.
    int8 : its INT8 groups.
    ms : latency of one inference; predicted if the target is elsewhere.
    loss : the scalar of the shift of the outputs against float.
    scores, boxes : the shift's parts.
    drop : points of mAP50-95 lost against float, None without labels.
    bound : upper 95 % bound of that loss (paired bootstrap over the labelled images).
    """

    name: str
    int8: frozenset[str]
    ms: float
    loss: float
    scores: float
    boxes: float
    drop: float | None = None
    bound: float | None = None

    def within(self, budget: Budget) -> bool:
        """Tell whether it keeps the limits on the loss; of the points lost the bound counts."""
        if budget.max_shift is not None and self.loss > budget.max_shift:
            return False
        if budget.max_drop is None:
            return True
        return self.bound is not None and self.bound <= budget.max_drop


class GroupFacts(NamedTuple):
    """What the search knew of one group.

    Attributes
    ----------
    alone : loss if only this group is INT8.
    saved : loss that disappears if all but this group are INT8.
    float_ms, int8_ms : its time.
    """

    alone: float
    saved: float
    float_ms: float
    int8_ms: float


@dataclass(frozen=True)
class HybridPlan:
    """The result of a search.

    Attributes
    ----------
    plan : the chosen one, as it was written.
    budget : what was asked, in words.
    met : whether the chosen plan keeps to all of it.
    remark : what there is to say about the choice.
    chosen : the trial of the plan.
    trials : all of them: float and the other baselines first.
    front : (loss, ms, number of INT8 groups) of the predicted Pareto front, as corrected by the
        trials, slowest first.
    groups : group -> what was known of it, in the order of the graph.
    conditions : of the latencies; how many images.
    """

    plan: PrecisionPlan
    budget: str
    met: bool
    remark: str
    chosen: Trial
    trials: tuple[Trial, ...]
    front: tuple[tuple[float, float, int], ...]
    groups: dict[str, GroupFacts]
    conditions: dict[str, Any]

    def save(self, path: Path) -> None:
        """Write everything but the plan itself as JSON, for the report."""
        values = {
            "model_key": self.plan.model_key,
            "target": self.plan.target,
            "budget": self.budget,
            "met": self.met,
            "remark": self.remark,
            "chosen": self.chosen.name,
            "trials": [{**trial._asdict(), "int8": sorted(trial.int8)} for trial in self.trials],
            "front": self.front,
            "groups": {name: facts._asdict() for name, facts in self.groups.items()},
            "conditions": self.conditions,
        }
        write_text(path, json.dumps(values, indent=1))

    @classmethod
    def of(cls, plan_file: Path | str, plan: PrecisionPlan) -> HybridPlan | None:
        """Return the search that a plan's file came from; None if it came from none.

        A plan that was edited since is no longer what the search chose.
        """
        try:
            text = (search_folder(plan_file) / SEARCH).read_text(encoding="utf-8")
            return cls._from_dict(json.loads(text), plan)
        except (OSError, KeyError, TypeError, ValueError):
            return None

    @classmethod
    def _from_dict(cls, values: dict[str, Any], plan: PrecisionPlan) -> HybridPlan | None:
        trials = tuple(
            Trial(**{**entry, "int8": frozenset(entry["int8"])}) for entry in values["trials"]
        )
        (chosen,) = (trial for trial in trials if trial.name == values["chosen"])
        made_for = (values["model_key"], values["target"], chosen.int8)
        if made_for != (plan.model_key, plan.target, plan.int8_groups):
            return None
        return cls(
            plan,
            values["budget"],
            values["met"],
            values["remark"],
            chosen,
            trials,
            tuple((loss, ms, count) for loss, ms, count in values["front"]),
            {name: GroupFacts(**facts) for name, facts in values["groups"].items()},
            values["conditions"],
        )


def search_folder(plan_file: Path | str) -> Path:
    """Return the folder beside a plan where its search keeps what it measures."""
    path = Path(plan_file)
    return path.with_name(f"{path.stem}.work")
