"""The quantization table: one scale a tensor, one scale a weight channel, for every target.

The table is what calibration hands to the lowerings. It speaks of one grid, the symmetric
one of TensorRT, and each target's lowering says how it maps that grid to its own types.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import EdgeError
from edge_sdk.files import write_text

SCHEMA = 1
STEPS = 127
"""Steps of the grid on either side of zero."""


@dataclass(frozen=True)
class ActivationScale:
    """The grid of one tensor.

    Attributes
    ----------
    scale : real value of one step; the grid ends at 127 steps, beyond it values are clipped.
    signed : whether the grid runs from -127 to 127 steps, or from 0 to 127.
    method : how the range was found ("max", "percentile", "entropy", "mse").
    """

    scale: float
    signed: bool
    method: str

    @property
    def limit(self) -> float:
        """The largest value that is not clipped."""
        return STEPS * self.scale


@dataclass(frozen=True)
class WeightScale:
    """The grids of one weight: signed, -127 to 127 steps, one scale an output channel.

    Attributes
    ----------
    axis : of the output channels in the weight.
    scales : float32 [channels], real value of one step, above 0.
    """

    axis: int
    scales: npt.NDArray[np.float32]


@dataclass(frozen=True)
class QuantizationTable:
    """All grids of one model.

    Attributes
    ----------
    model_key : of the float model it was made for.
    activations : tensor name -> its grid.
    weights : initializer name -> its grids.
    biases : initializer name -> float32 [channels] that INT8 layers add instead of the model's
        own (bias correction); layers in float keep theirs.
    rounded : initializer name -> int8 of the weight's shape, on the grid of `weights`, where
        the rounding was learned; a target with another grid rounds to the nearest.
    channels : tensor name -> float32 [channels], the step at which each channel's grid would hold
        its largest value, for tensors whose integers only depthwise convolutions read. Targets
        that can round channel by channel take the smaller of that and the tensor's own step.
    factors : tensor name -> float32 [channels] that the layers around it take out of the tensor
        and put back (see `equalize_channels`); everything else in the table, biases and
        roundings, too, is of the model with them in its weights.
    """

    model_key: str
    activations: dict[str, ActivationScale]
    weights: dict[str, WeightScale]
    biases: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    rounded: dict[str, npt.NDArray[np.int8]] = field(default_factory=dict)
    channels: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    factors: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)

    @property
    def refinements(self) -> list[str]:
        """Names of what was done to it after calibration (see `calibration.refinement`)."""
        done = {
            "like channels": self.factors, "learned rounding": self.rounded, "biases": self.biases,
        }  # fmt: skip
        return [name for name, parts in done.items() if parts]

    @property
    def key(self) -> str:
        """SHA-256 of all that the table says."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def save(self, path: Path | str) -> None:
        """Write the table as JSON (`quant.json`)."""
        write_text(path, self.to_json())

    @classmethod
    def load(cls, path: Path | str) -> QuantizationTable:
        """Read what `save` wrote.

        Raises
        ------
        EdgeError
            If the file cannot be read or is not a quantization table.
        """
        try:
            values = json.loads(Path(path).read_bytes())
        except OSError as error:
            raise EdgeError(
                f"Cannot read the quantization table {path}: {error.strerror}."
            ) from error
        except ValueError as error:
            raise EdgeError(
                f"{path} is not a quantization table: make it with `edge-sdk refine`, `qat` or "
                "`build`."
            ) from error
        try:
            return cls._from_dict(values)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise EdgeError(
                f"{path} is not a quantization table ({error!r}): make it again with "
                "`edge-sdk calibrate` and `edge-sdk build`."
            ) from error

    def to_json(self) -> str:
        """Return the table as JSON text."""
        activations = {
            name: {"scale": point.scale, "signed": point.signed, "method": point.method}
            for name, point in self.activations.items()
        }
        weights = {
            name: {"axis": weight.axis, "scales": weight.scales.tolist()}
            for name, weight in self.weights.items()
        }
        return json.dumps(
            {
                "schema": SCHEMA,
                "model_key": self.model_key,
                "activations": activations,
                "weights": weights,
                "biases": {name: bias.tolist() for name, bias in self.biases.items()},
                "rounded": {name: _packed(integers) for name, integers in self.rounded.items()},
                "channels": {name: steps.tolist() for name, steps in self.channels.items()},
                "factors": {name: factors.tolist() for name, factors in self.factors.items()},
            },
            indent=1,
        )

    @classmethod
    def _from_dict(cls, values: dict[str, Any]) -> QuantizationTable:
        if values["schema"] != SCHEMA:
            raise ValueError(f"schema {values['schema']}, this version reads {SCHEMA}")
        activations = {
            str(name): ActivationScale(
                _positive(point["scale"]), bool(point["signed"]), str(point["method"])
            )
            for name, point in values["activations"].items()
        }
        weights = {
            str(name): WeightScale(
                int(weight["axis"]),
                np.array([_positive(scale) for scale in weight["scales"]], np.float32),
            )
            for name, weight in values["weights"].items()
        }
        biases = {
            str(name): np.array([_finite(value) for value in bias], np.float32)
            for name, bias in values.get("biases", {}).items()
        }
        rounded = {
            str(name): _unpacked(integers) for name, integers in values.get("rounded", {}).items()
        }
        channels, factors = (
            {
                str(name): np.array([_positive(number) for number in numbers], np.float32)
                for name, numbers in values.get(part, {}).items()
            }
            for part in ("channels", "factors")
        )
        return cls(
            str(values["model_key"]), activations, weights, biases, rounded, channels, factors
        )


def _packed(integers: npt.NDArray[np.int8]) -> dict[str, Any]:
    """Return integers as JSON: their shape and the base64 of their bytes."""
    return {"shape": integers.shape, "data": base64.b64encode(integers.tobytes()).decode()}


def _unpacked(packed: dict[str, Any]) -> npt.NDArray[np.int8]:
    data = base64.b64decode(packed["data"], validate=True)
    return np.frombuffer(data, np.int8).reshape([int(side) for side in packed["shape"]])


def _finite(value: Any) -> float:
    number = float(value)
    if not abs(number) < float("inf"):
        raise ValueError(f"a bias of {number}")
    return number


def _positive(value: Any) -> float:
    scale = float(value)
    if not 0 < scale < float("inf"):
        raise ValueError(f"a scale of {scale}")
    return scale
