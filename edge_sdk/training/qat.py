"""Quantization-aware training: a converted network learns with the rounding of its plan.

What is trained is the network that runs: the fused float graph, with fake quantization exactly
where the target's lowering puts it. Rounding passes gradients straight through; the scales of
activations are learned in log space (learned step size quantization, Esser et al., ICLR 2020),
those of weights follow the weights.

What it learns is to predict what the float network predicts (`distillation`). Labels would go on
teaching a network that has converged, which on few images leads away from what it knows; where
nothing is rounded, this loss and its gradient are zero, so all that is learned is to make up for
the rounding. The pictures are as the runtime places them: those that a change of colours takes
beyond what calibration saw are clipped, and a few of them would outweigh all others. Weights do
not decay, since float's do not.

It begins with the scales of calibration, and what it begins with is the first candidate for the
best, which is nearest to float on the validation images: a training that does not help gives back
the network that it was given. The accuracy there is reported, but chooses nothing: on 87 images it
went up and down by 0.4 points while the network came ever nearer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from edge_sdk.converters.layer_groups import layer_groups
from edge_sdk.converters.model_file import (
    head_spec_of,
    metadata,
    model_key,
    save_model,
    set_metadata,
)
from edge_sdk.converters.proof import METADATA_KEY as PROOF_KEY
from edge_sdk.converters.switchable import SwitchableNetwork
from edge_sdk.errors import EdgeError
from edge_sdk.head_spec import HeadSpec
from edge_sdk.precision_plan import PrecisionPlan
from edge_sdk.progress import Progress, silent
from edge_sdk.quantization_table import QuantizationTable
from edge_sdk.runtime.letterbox import Letterbox
from edge_sdk.training.batches import Batch
from edge_sdk.training.distillation import divergence
from edge_sdk.training.history import Row
from edge_sdk.training.recipe import Recipe
from edge_sdk.training.trainer import Trained, Trainer
from edge_sdk.training.validation import validate

if TYPE_CHECKING:
    import onnx

MODEL, TABLE, PLAN = "model.onnx", "quant.json", "plan.yaml"
EXACT, DIVERGENCE = "exact", "divergence"
"""In the log: the accuracy of the float network (first row); how far from it the averaged network
is on the validation images, with every accuracy.
"""
TRAINED = "trained"
"""How a trained scale was found."""


@dataclass(frozen=True)
class Quantized:
    """What a quantization-aware training begins with.

    Attributes
    ----------
    model : the float graph of `edge-sdk convert`, of a YOLO-NAS.
    table : its grids, as calibration set them; without biases or roundings of its own.
    plan : which layers run in INT8, and for which target.
    seven_bit_weights : for CPUs without VNNI.

    Raises
    ------
    EdgeError
        If the parts do not belong together, the network has another head, or the plan runs
        nothing in INT8.
    """

    model: onnx.ModelProto
    table: QuantizationTable
    plan: PrecisionPlan
    seven_bit_weights: bool = False

    def __post_init__(self) -> None:
        self.plan.check(model_key(self.model), self.plan.target, layer_groups(self.model))
        if self.spec.layout != "dfl":
            raise EdgeError(
                f"The model has the head of a {self.spec.family} (layout {self.spec.layout}): "
                "quantization-aware training is there for YOLO-NAS, as `edge-sdk convert` "
                "makes it."
            )
        if self.table.biases or self.table.rounded or self.table.factors:
            raise EdgeError(
                "The quantization table was refined: it has biases, roundings or factors of its "
                "own, which a training would leave behind: begin with the table of a calibration."
            )
        if not self.plan.int8_layers:
            raise EdgeError("The plan runs no layer in INT8: there is nothing to train for.")

    @property
    def spec(self) -> HeadSpec:
        """The model's contract."""
        return head_spec_of(self.model)

    @property
    def key(self) -> str:
        """The SHA-256 of all of it."""
        parts = (self.plan.to_yaml(), self.table.to_json(), self.seven_bit_weights)
        return hashlib.sha256(repr(parts).encode()).hexdigest()


@dataclass(frozen=True)
class Recovered:
    """What a quantization-aware training made.

    Attributes
    ----------
    model, table, plan : the files of the best network: the float graph, its trained grids, and
        the plan for it. Together they are what `edge-sdk build` takes.
    exact : mAP50-95 of the float network that it began with, on the validation images, 0..1.
    before, after : of the quantized network before the training, and of the best one, which is
        the one nearest to float.
    """

    model: Path
    table: Path
    plan: Path
    exact: float
    before: float
    after: float


def qat(
    start: Quantized,
    recipe: Recipe,
    output: Path | str,
    *,
    workers: int = 1,
    progress: Progress = silent,
    report: Callable[[Row], None] = lambda row: None,
) -> Recovered:
    """Train a quantized network, or go on with a training that was interrupted.

    Parameters
    ----------
    start : the network, its grids and its plan.
    recipe : from `qat_recipe`.
    output : the folder; beside the files of `Recovered` it gets those of every training.
    workers : threads that make the batches.
    progress : told after every step.
    report : given every row of the log as it is written; the first holds `EXACT`.

    Raises
    ------
    EdgeError
        If the data cannot be used or has other classes than the network, the folder holds
        another training, or the loss is no longer finite.
    """
    trainer = QatTrainer(start, recipe, Path(output), report)
    trainer.run(workers, progress)
    return trainer.outcome()


def qat_recipe(
    start: Quantized, data: str, *, steps: int, batch: int = 8, lr: float = 5e-5, seed: int = 0
) -> Recipe:
    """Return the recipe of a quantization-aware training.

    Parameters
    ----------
    data : as for `Recipe`.
    steps, batch, lr, seed : see `Recipe`; of weights that only have to make up for rounding, the
        learning rate is a twentieth of a training's.

    Raises
    ------
    EdgeError
        If a number is out of range.
    """
    return Recipe(
        data=data,
        model=start.key[:12],
        block="fused",
        input_size=start.spec.input_size,
        steps=steps,
        batch=batch,
        lr=lr,
        weight_decay=0.0,
        augment=False,
        warmup=max(1, steps // 20),
        seed=seed,
        validations=min(5, steps),
    )


class QatNetwork(nn.Module):
    """A switchable network as a YOLO-NAS: images in, maps of classes and of distances out.

    Parameters
    ----------
    start : what it consists of.
    layers : those that run in INT8.

    Attributes
    ----------
    network : what is trained.
    """

    def __init__(self, start: Quantized, layers: frozenset[str]) -> None:
        super().__init__()
        self.network = SwitchableNetwork(
            start.model, start.table, start.plan.target, seven_bit_weights=start.seven_bit_weights
        ).requires_grad_(True)
        self._layers = layers

    def forward(self, images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return class logits and distances, one map a stride."""
        outputs = self.network(images, self._layers)
        half = len(outputs) // 2
        return outputs[:half], outputs[half:]


class QatTrainer(Trainer):
    """A quantization-aware training under way; see `qat`."""

    def __init__(
        self, start: Quantized, recipe: Recipe, output: Path, report: Callable[[Row], None]
    ) -> None:
        self._start = start
        super().__init__(recipe, output, report)
        self._weights = output / MODEL
        self._teacher = QatNetwork(start, frozenset()).requires_grad_(False).to(self._device)

    def run(self, workers: int, progress: Progress) -> Trained:
        """Measure what it begins with, if it begins now, and train."""
        if not self._history.rows:
            self._began = monotonic()
            self._log({EXACT: self._exact()})
            self._validate()
            self._save()
        return super().run(workers, progress)

    def outcome(self) -> Recovered:
        """Return what was made."""
        exact, before, *_ = self._history.rows
        model, table, plan = (self._output / name for name in (MODEL, TABLE, PLAN))
        best = self._best_row()
        return Recovered(model, table, plan, exact[EXACT], before["map"], best["map"])

    def _exact(self) -> float:
        """Return the accuracy of the network with all layers in float."""
        return validate(self._teacher, self._validation, self.spec).map or 0.0

    def _contract(self, names: tuple[str, ...]) -> HeadSpec:
        spec = self._start.spec
        if names != spec.class_names:
            raise EdgeError(
                f"The data has the classes {', '.join(names)}, the network has "
                f"{', '.join(spec.class_names)}: give data with the same classes in the same order."
            )
        return spec

    def _network(self, names: tuple[str, ...]) -> nn.Module:
        return QatNetwork(self._start, self._start.plan.int8_layers)

    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        images = batch.network_input()
        with torch.no_grad():
            wanted = self._teacher(images)
        return divergence(self.model(images), wanted)._asdict()

    def _evaluate(self) -> dict[str, float]:
        return {**super()._evaluate(), DIVERGENCE: self._divergence()}

    def _merit(self, found: Row) -> float:
        """Return what is surer than an accuracy on so few images: to be near the float network."""
        return -float(found[DIVERGENCE])

    @torch.no_grad()
    def _divergence(self) -> float:
        """Return that of the averaged network on the validation images, the mean."""
        letterbox = Letterbox(self.spec.preprocessing, self.spec.input_size)
        image = np.empty((1, 3, *self.spec.input_size), np.float32)
        total = 0.0
        for sample in self._validation.images:
            letterbox(sample.read(), image[0])
            tensor = torch.from_numpy(image).to(self._device)
            total += float(sum(divergence(self.ema.model(tensor), self._teacher(tensor))))
        return total / len(self._validation.images)

    def _keep(self, facts: dict[str, float]) -> None:
        """Write the averaged network, which is the best so far, as files that a build takes."""
        best: SwitchableNetwork = self.ema.model.network  # type: ignore[assignment]
        model, table = best.float_model(), _marked(best.table(), self._start.table)
        # The proof was of the weights as they were.
        kept = {name: value for name, value in metadata(model).items() if name != PROOF_KEY}
        del model.metadata_props[:]
        for name, value in kept.items():
            set_metadata(model, name, value)
        save_model(model, self._output / MODEL)
        table.save(self._output / TABLE)
        replace(self._start.plan, model_key=table.model_key).save(self._output / PLAN)


def _marked(table: QuantizationTable, before: QuantizationTable) -> QuantizationTable:
    """Return a table that says which scales were trained."""
    activations = {
        name: point if point == before.activations[name] else replace(point, method=TRAINED)
        for name, point in table.activations.items()
    }
    return replace(table, activations=activations)
