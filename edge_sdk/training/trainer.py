"""The training loop."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import torch
from torch import Tensor, nn

from edge_sdk.converters.heads import yolo_nas as yolo_nas_head
from edge_sdk.errors import EdgeError
from edge_sdk.files import make_folder
from edge_sdk.head_spec import HeadSpec
from edge_sdk.progress import Progress, silent
from edge_sdk.training.augmentation import Placer
from edge_sdk.training.batches import Batch, Batches
from edge_sdk.training.checkpoint import Checkpoint, save_weights
from edge_sdk.training.data import training_data
from edge_sdk.training.ema import Ema, set_batch_norm_memory
from edge_sdk.training.history import History, Row
from edge_sdk.training.losses import DetectionLoss
from edge_sdk.training.optimization import learning_rate, optimizer_of, set_learning_rate
from edge_sdk.training.predictions import SCORE, spread, write_page
from edge_sdk.training.recipe import Recipe
from edge_sdk.training.start import starting_network
from edge_sdk.training.validation import detect, validate

LOGGED = 200
"""Rows of losses in a log."""

SAVE_EVERY = 60.0
"""Seconds of work that an interruption may cost, at most, beside the row it falls into."""


@dataclass(frozen=True)
class Trained:
    """The outcome of a training.

    Attributes
    ----------
    weights : the best averaged weights, a safetensors file.
    map, map50 : of these weights on the validation images, 0..1.
    """

    weights: Path
    map: float
    map50: float


def train(
    recipe: Recipe,
    output: Path | str,
    *,
    workers: int = 1,
    progress: Progress = silent,
    report: Callable[[Row], None] = lambda row: None,
) -> Trained:
    """Train a network, or go on with a training that was interrupted.

    The folder receives best.safetensors (averaged weights, with branches), predictions.jpg (what
    these find on validation images), last.pt (to go on from), log.jsonl and curves.png.

    Parameters
    ----------
    recipe : all settings that decide the outcome.
    output : the folder. If it holds a training with the same recipe, that one is continued.
    workers : threads that make the batches.
    progress : told after every step.
    report : given every row of the log as it is written.

    Raises
    ------
    EdgeError
        If the data cannot be used, the folder holds another recipe's training, the loss is no
        longer finite, or the folder cannot be written.
    """
    return Trainer(recipe, Path(output), report).run(workers, progress)


class Trainer:
    """A training under way; see `train`.

    Attributes
    ----------
    batches : of all its steps.
    model : the network that learns.
    ema : the average of its weights.
    spec : the contract of the trained network.
    """

    def __init__(self, recipe: Recipe, output: Path, report: Callable[[Row], None]) -> None:
        self.recipe = recipe
        self._output = output
        self._report = report
        self._last = output / "last.pt"
        self._weights = output / "best.safetensors"
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        examples, augmentation, validation = training_data(recipe)
        self._validation = validation
        self.spec = self._contract(examples.names)
        placer = Placer(self.spec.preprocessing, recipe.input_size, augmentation)
        self.batches = Batches(examples, placer, recipe.batch, recipe.seed)
        self._loss = DetectionLoss(self.spec.strides)
        self.model = self._network(examples.names).train().to(self._device)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        set_batch_norm_memory(self.model, recipe.steps)
        self.ema = Ema(self.model, recipe.steps)
        self._optimizer = optimizer_of(self.model, recipe.lr, recipe.weight_decay)
        make_folder(output)  # what cannot be written is told before the first step
        self._history = History(output)
        self._step, self._best = 0, -math.inf
        self._seconds = self._began = 0.0
        if self._last.exists():
            self._resume()

    def _contract(self, names: tuple[str, ...]) -> HeadSpec:
        """Return the contract of the network, for the data's classes."""
        return yolo_nas_head.spec(len(names), self.recipe.input_size, names)

    def _network(self, names: tuple[str, ...]) -> nn.Module:
        """Return the network as it is before the first step."""
        return starting_network(self.recipe, names)

    def run(self, workers: int, progress: Progress) -> Trained:
        """Do the steps that are left, or those until patience ends."""
        batches = self.batches.ahead(self._step, self.recipe.steps, workers)
        validated = self._validated_steps()
        saved = self._began = monotonic() - self._seconds
        for stop in self._stops(validated):
            if self._hopeless():
                break
            self.train_until(stop, batches, progress)
            if stop in validated:
                self._validate()
            if stop in validated or monotonic() - saved > SAVE_EVERY:
                self._save()
                saved = monotonic()
        return self._outcome()

    def _hopeless(self) -> bool:
        """Whether the merit has not risen for as many evaluations as patience allows."""
        merits = [self._merit(row) for row in self._history.rows if "map" in row]
        if self.recipe.patience is None or not merits:
            return False
        return len(merits) - 1 - merits.index(max(merits)) >= self.recipe.patience

    def _validated_steps(self) -> set[int]:
        steps, times = self.recipe.steps, self.recipe.validations
        return {math.ceil(steps * (index + 1) / times) for index in range(times)}

    def _stops(self, validated: set[int]) -> list[int]:
        """Return the steps still ahead after which the log gets a row."""
        steps = self.recipe.steps
        logged = set(range(0, steps, max(1, steps // LOGGED)))
        return sorted(stop for stop in logged | validated if stop > self._step)

    def train_until(self, stop: int, batches: Iterator[Batch], progress: Progress) -> None:
        """Train up to a step and log the mean losses; `batches` begin where the training is."""
        done: list[dict[str, Tensor]] = []
        while self._step < stop:
            done.append(self._train_step(next(batches).to(self._device)))
            self._step += 1
            progress(self._step, self.recipe.steps, "training")
        parts = {name: torch.stack([one[name] for one in done]).mean().item() for name in done[0]}
        self._log({"loss": sum(parts.values()), **parts, "lr": self._learning_rate(stop - 1)})

    def _train_step(self, batch: Batch) -> dict[str, Tensor]:
        """Do one step; return the parts of the loss."""
        recipe = self.recipe
        set_learning_rate(self._optimizer, self._learning_rate(self._step))
        losses = self._losses(batch)
        total = torch.stack(list(losses.values())).sum()
        self._optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip)
        if not math.isfinite(total.item() + norm.item()):
            raise EdgeError(
                f"The loss or its gradient is no longer finite at step {self._step + 1}: "
                f"{self._output} keeps what was trained before. Begin anew in another folder "
                f"with a lower learning rate than {recipe.lr:g}."
            )
        self._optimizer.step()
        self.ema.update(self.model, self._step)
        return {name: part.detach() for name, part in losses.items()}

    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the parts of the loss of a batch, to be added."""
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self.recipe.bf16):
            classes, distances = self.model(batch.network_input())
        return self._loss(classes, distances, batch.objects)._asdict()

    def _learning_rate(self, step: int) -> float:
        recipe = self.recipe
        return learning_rate(step, recipe.steps, recipe.warmup, recipe.lr)

    def _validate(self) -> None:
        """Evaluate the averaged weights, and keep them if they are the best so far."""
        found = self._evaluate()
        self._log(found)
        self._history.draw()
        if self._merit(found) > self._best:
            self._best = self._merit(found)
            self._keep({"step": self._step, **found})
            self._show()

    def _evaluate(self) -> dict[str, float]:
        """Return what the log says of the averaged weights."""
        accuracy = validate(self.ema.model, self._validation, self.spec, bf16=self.recipe.bf16)
        return {"map": accuracy.map or 0.0, "map50": accuracy.map50 or 0.0}

    def _merit(self, found: Row) -> float:
        """Return what the best averaged weights have most of, of one evaluation."""
        merit: float = found["map"]
        return merit

    def _best_row(self) -> Row:
        return max((row for row in self._history.rows if "map" in row), key=self._merit)

    def _keep(self, facts: dict[str, float]) -> None:
        """Write the averaged weights, which are the best so far."""
        save_weights(self._weights, self.ema.model, self.recipe, self.spec, facts)

    def _show(self) -> None:
        """Draw what the averaged weights find."""
        samples = spread(self._validation.images)
        found = detect(self.ema.model, samples, self.spec, bf16=self.recipe.bf16, score=SCORE)
        write_page(self._output / "predictions.jpg", samples, found)

    def _log(self, numbers: dict[str, float]) -> None:
        self._seconds = monotonic() - self._began
        row = {"step": self._step, **numbers, "seconds": round(self._seconds, 1)}
        self._history.add(row)
        self._report(row)

    def _save(self) -> None:
        states = {
            "model": self.model.state_dict(),
            "ema": self.ema.model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }
        Checkpoint(self.recipe, self._step, self._seconds, self._best, states).save(self._last)

    def _resume(self) -> None:
        checkpoint = Checkpoint.load(self._last)
        if differences := self.recipe.differences(checkpoint.recipe):
            raise EdgeError(
                f"{self._output} holds a training with another {' and '.join(differences)}: "
                "give another folder, or the same settings to go on with it."
            )
        self.model.load_state_dict(checkpoint.states["model"])
        self.ema.model.load_state_dict(checkpoint.states["ema"])
        self._optimizer.load_state_dict(checkpoint.states["optimizer"])
        self._step, self._best = checkpoint.step, checkpoint.best
        self._seconds = checkpoint.seconds
        self._history.resume(self._step)

    def _outcome(self) -> Trained:
        best = self._best_row()
        return Trained(self._weights, best["map"], best["map50"])
