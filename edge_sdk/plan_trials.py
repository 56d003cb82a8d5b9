"""Building plans and measuring what they really cost, each plan once.

Latency is timed in turn with the float engine and kept as a ratio to it, so that trials of
different moments compare. What was measured is written to a file after each plan.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from edge_sdk.engine_trial import EngineTrial
from edge_sdk.errors import EdgeError
from edge_sdk.files import write_text
from edge_sdk.head_spec import HeadSpec
from edge_sdk.progress import Progress, silent

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import onnx

    from edge_sdk.calibration.shift import Shift
    from edge_sdk.datasets.sample import Dataset
    from edge_sdk.evaluation import ClassMatches
    from edge_sdk.precision_plan import PlanGroup
    from edge_sdk.quantization_table import QuantizationTable

Int8 = frozenset[str]
"""A plan, as the names of the groups that run in INT8."""


class Measured(NamedTuple):
    """One plan as it was built.

    Attributes
    ----------
    ratio : latency over that of float; None where it could not be timed.
    shift : of the outputs against float, on calibration images.
    drop : points of mAP50-95 lost against float on the labelled images; None without labels.
    bound : upper 95 % bound of that loss (paired bootstrap over the images).
    """

    ratio: float | None
    shift: Shift
    drop: float | None
    bound: float | None


@dataclass
class Laboratory:
    """One model on one target, and the images that plans are judged on.

    Attributes
    ----------
    graph, spec, table, target, groups : what is lowered.
    images : float32 [1, 3, H, W] each, preprocessed.
    dataset : labelled images, or None.
    log : the JSON file that keeps what was measured.
    conditions : what the measurements depend on beside the model, table and target: they are
        begun anew where it differs.
    folder : an empty one for engines.
    timed : whether the engines that run here are those of the target.
    """

    graph: onnx.ModelProto
    spec: HeadSpec
    table: QuantizationTable
    target: str
    groups: Sequence[PlanGroup]
    images: Sequence[npt.NDArray[np.float32]]
    dataset: Dataset | None
    log: Path
    conditions: Mapping[str, Any]
    folder: Path
    threads: int | None = None
    timed: bool = True
    _known: dict[Int8, Measured] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from edge_sdk.converters.lowering import simulation
        from edge_sdk.converters.lowering.instruction_set import needs_seven_bit_weights
        from edge_sdk.converters.model_file import model_key

        self._lower, engine = simulation(self.target)
        self._narrow = needs_seven_bit_weights(self.target)
        content = {
            "model": model_key(self.graph),
            "table": self.table.key,
            "target": self.target,
            "threads": self.threads,
            "seven_bit_weights": self._narrow,
            **self.conditions,
        }
        self._key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        self._trial = EngineTrial(engine, self.folder, self.threads)
        self._float_outputs: list[Any] | None = None
        self._float_matches: Sequence[ClassMatches] = ()
        self._known = self._load()

    def measure(self, plans: Sequence[Int8], progress: Progress = silent) -> dict[Int8, Measured]:
        """Return what the plans cost; only those are built that were not measured before.

        Raises
        ------
        EdgeError
            If an engine cannot be built, or an image cannot be read.
        """
        new = [plan for plan in dict.fromkeys(plans) if plan not in self._known]
        for done, plan in enumerate(new):
            progress(done, len(new), "measuring plans")
            self._known[plan] = self._measure(plan)
            self._save()
        if new:
            progress(len(new), len(new), "measuring plans")
        return {plan: self._known[plan] for plan in plans}

    def _measure(self, plan: Int8) -> Measured:
        from edge_sdk.calibration.shift import shift

        self._prepare()
        assert self._float_outputs is not None
        if not plan:
            return Measured(
                1.0 if self.timed else None,
                shift(self.spec, self._float_outputs, self._float_outputs),
                *((None, None) if self.dataset is None else (0.0, 0.0)),
            )
        layers = frozenset(n for group in self.groups if group.name in plan for n in group.layers)
        name = "candidate"
        lowered = self._lower(self.graph, self.table, layers, seven_bit_weights=self._narrow)
        self._trial.add(name, lowered)
        try:
            outputs = self._outputs(name)
            moved = shift(self.spec, self._float_outputs, outputs)
            return Measured(self._ratio(name), moved, *self._drop(name))
        finally:
            self._trial.drop(name)

    def _prepare(self) -> None:
        """Build float and what everything is compared with, once."""
        if self._float_outputs is not None:
            return
        self._trial.add("float", self.graph)
        if self.dataset is not None:
            self._float_matches = self._matches("float")
        self._float_outputs = self._outputs("float")

    def _ratio(self, name: str) -> float | None:
        if not self.timed:
            return None
        self._trial.time(self.spec, ["float", name])
        # Whatever else the machine does only adds to a time, so the short ones are compared.
        times = self._trial.times
        return times[name].p10 / times["float"].p10

    def _outputs(self, name: str) -> list[list[npt.NDArray[np.float32]]]:
        engine = self._trial.open(name, self.spec)
        try:
            return [
                [output[0] for output in engine(image.astype(engine.input_dtype))]
                for image in self.images
            ]
        finally:
            engine.close()

    def _drop(self, name: str) -> tuple[float, float] | tuple[None, None]:
        """Return the points lost against float on the labelled images, and their upper bound."""
        from edge_sdk.evaluation import paired_difference

        if self.dataset is None:
            return None, None
        lost = paired_difference(self._float_matches, self._matches(name))
        return 100 * lost.value, 100 * lost.upper

    def _matches(self, name: str) -> Sequence[ClassMatches]:
        from edge_sdk.evaluation import EVALUATION, match, predict
        from edge_sdk.runtime.detector import Detector

        assert self.dataset is not None
        samples, names = self.dataset.images, self.dataset.names
        engine = self._trial.open(name, self.spec)
        with Detector.from_engine(engine, self.spec, **EVALUATION) as detector:
            found = match(predict(detector, self.dataset), samples, names)
        if not any(one.objects.any() for one in found):
            raise EdgeError(
                f"The labelled images of {self.dataset.source} hold no object, so that no loss of "
                "accuracy can be measured: give others with --labels, or use --max-shift."
            )
        return found

    def _load(self) -> dict[Int8, Measured]:
        from edge_sdk.calibration.shift import Shift

        try:
            values = json.loads(self.log.read_text(encoding="utf-8"))
            if values["key"] != self._key:
                return {}
            return {
                frozenset(entry["int8"]): Measured(
                    entry["ratio"], Shift(**entry["shift"]), entry["drop"], entry["bound"]
                )
                for entry in values["plans"]
            }
        except (OSError, KeyError, TypeError, ValueError):
            return {}

    def _save(self) -> None:
        plans = [
            {
                "int8": sorted(plan),
                "ratio": measured.ratio,
                "shift": asdict(measured.shift),
                "drop": measured.drop,
                "bound": measured.bound,
            }
            for plan, measured in self._known.items()
        ]
        write_text(self.log, json.dumps({"key": self._key, "plans": plans}, indent=1))
