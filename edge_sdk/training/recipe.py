"""Everything that decides the outcome of a training."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields

from edge_sdk.errors import EdgeError


@dataclass(frozen=True)
class Recipe:
    """The settings of a training; the same recipe on the same machine gives the same weights.

    Attributes
    ----------
    data : what to learn: `test://street?...` (rendered frames without end), or a data set that
        `edge_sdk.datasets.open_dataset` understands, whose `train` split is used. Several are
        learned together, a picture of each in turn; classes of the same name are one.
    model, block : size and block of the network, as for `yolo_nas`.
    start : a checkpoint with whose weights the training begins; without one they are random.
    input_size : (height, width) of the network's input, multiples of 32.
    steps, batch : optimizer steps, and images in each.
    lr : the peak of the learning rate (warm-up, then cosine).
    weight_decay : of the convolutions' weights alone.
    warmup : steps until the peak.
    clip : the largest norm of the gradient.
    seed : of weights, pictures and their changes.
    bf16 : compute convolutions in bfloat16 (the loss stays float32).
    augment : change every picture a little each time it is seen.
    validations : how often the averaged weights are evaluated, evenly over the training.
    validation_images : on how many of each data set's `val` split.
    patience : evaluations in a row without a better one after which the training ends; without
        a number it never ends early.
    """

    data: str | tuple[str, ...]
    model: str = "n"
    block: str = "qarepvgg"
    start: str | None = None
    input_size: tuple[int, int] = (256, 416)
    steps: int = 2000
    batch: int = 16
    lr: float = 1e-3
    weight_decay: float = 1e-4
    warmup: int = 100
    clip: float = 10.0
    seed: int = 0
    bf16: bool = False
    augment: bool = True
    validations: int = 10
    validation_images: int = 200
    patience: int | None = None

    def __post_init__(self) -> None:
        height, width = self.input_size
        if height % 32 or width % 32 or min(height, width) < 32:
            raise EdgeError(
                f"The input size {height}x{width} cannot be used: height and width must be "
                "multiples of 32."
            )
        if self.batch * (height // 32) * (width // 32) == 1:
            raise EdgeError(
                "One image of 32x32 leaves batch normalization a single value: take a larger "
                "batch or input."
            )
        for name in ("steps", "batch", "warmup", "validations", "validation_images"):
            self._check_positive(name)
        if self.patience is not None:
            self._check_positive("patience")
        if not self.lr > 0:
            raise EdgeError(f"The learning rate must be above 0, not {self.lr}.")

    def _check_positive(self, name: str) -> None:
        if getattr(self, name) < 1:
            raise EdgeError(f"{name} must be at least 1, not {getattr(self, name)}.")

    @property
    def sources(self) -> tuple[str, ...]:
        """All that is learned."""
        return (self.data,) if isinstance(self.data, str) else self.data

    def differences(self, other: Recipe) -> list[str]:
        """Return the names of the settings in which two recipes differ."""
        return [
            item.name
            for item in fields(self)
            if getattr(self, item.name) != getattr(other, item.name)
        ]

    def to_json(self) -> str:
        """Return the recipe as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Read what `to_json` wrote."""
        values = json.loads(text)
        values["input_size"] = tuple(values["input_size"])
        if isinstance(values["data"], list):
            values["data"] = tuple(values["data"])
        return cls(**values)
