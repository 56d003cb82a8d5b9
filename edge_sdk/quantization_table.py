"""The quantization table: one scale a tensor, one scale a weight channel, for every target.

The table is what calibration hands to the lowerings. It speaks of one grid, the symmetric
one of TensorRT, and each target's lowering says how it maps that grid to its own types.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
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
    """

    model_key: str
    activations: dict[str, ActivationScale]
    weights: dict[str, WeightScale]

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
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise EdgeError(f"Cannot read the quantization table {path}: {error}.") from error
        try:
            return cls._from_dict(json.loads(text))
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
        return cls(str(values["model_key"]), activations, weights)


def _positive(value: Any) -> float:
    scale = float(value)
    if not 0 < scale < float("inf"):
        raise ValueError(f"a scale of {scale}")
    return scale
