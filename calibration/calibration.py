"""What calibration found out about a model, as a value and as a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_sdk.calibration.observers import BINS, Histogram
from edge_sdk.calibration.ranges import channel_steps
from edge_sdk.calibration.sharing import scale_groups, shared_scale
from edge_sdk.converters.weight_scales import weight_scales
from edge_sdk.errors import EdgeError
from edge_sdk.files import replacing
from edge_sdk.quantization_table import QuantizationTable

if TYPE_CHECKING:
    import onnx

    from edge_sdk.converters.quantization_points import QuantizationPoints

SCHEMA = 1


@dataclass(frozen=True)
class Calibration:
    """Histograms of a model's activations over a set of images.

    Attributes
    ----------
    model_key : of the float model.
    preprocessing : the network's input size and preprocessing, as JSON.
    images : SHA-256 of each image that was counted, in the order of counting.
    histograms : tensor name -> the distribution of its values, for every tensor that any
        target may quantize.
    source : where the images were taken from, for whoever wants to look at them again.
    skipped : what was left out of the images and why, one sentence each; not part of the file.
    reused : how many of the images were counted by an earlier run; not part of the file.
    """

    model_key: str
    preprocessing: str
    images: tuple[str, ...]
    histograms: dict[str, Histogram]
    source: str = ""
    skipped: tuple[str, ...] = ()
    reused: int = 0

    @property
    def key(self) -> str:
        """SHA-256 that names this calibration: of the graph, the preprocessing and the images."""
        parts = [self.model_key, self.preprocessing, *sorted(self.images)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def quantization_table(
        self,
        model: onnx.ModelProto,
        target: str,
        method: str = "mse",
        exceptions: Mapping[str, str] | None = None,
    ) -> QuantizationTable:
        """Choose one scale for every tensor, and one for every channel of the weights.

        Parameters
        ----------
        model : the float model that was calibrated.
        target : whose grid the ranges are to suit.
        method : "mse", "max", "percentile" or "entropy" (see `edge_sdk.calibration.ranges`).
        exceptions : tensor -> another method, for it and all that share its scale (see
            `range_choice`). Which tensors share does not depend on them.

        Raises
        ------
        EdgeError
            If the model is not the one that was calibrated, or there is no such target or
            method.
        """
        from edge_sdk.converters.lowering import grid_steps
        from edge_sdk.converters.model_file import model_key
        from edge_sdk.converters.quantization_points import quantization_points

        if model_key(model) != self.model_key:
            raise EdgeError(
                "The calibration belongs to another model: run `edge-sdk calibrate` on this one."
            )
        points = quantization_points(model)
        self._check_points(points)
        scales = {}
        exceptions = exceptions or {}
        steps = grid_steps(target, points)
        groups = scale_groups(model, points.scale_groups, self.histograms, method, steps)
        for group, scale in groups.items():
            own = next((exceptions[name] for name in group if name in exceptions), method)
            if own != method:
                scale = shared_scale(group, self.histograms, own, steps)
            scales.update(dict.fromkeys(group, scale))
        scales = {name: scales[name] for name in points.activations}
        weights = weight_scales(model, points.weights, scales)
        channels = {name: channel_steps(self.histograms[name]) for name in points.channels}
        return QuantizationTable(self.model_key, scales, weights, channels=channels)

    def _check_points(self, points: QuantizationPoints) -> None:
        wanted = {
            name: (signed, points.channels.get(name, 0))
            for name, signed in points.activations.items()
        }
        if {name: histogram.kind for name, histogram in self.histograms.items()} != wanted:
            raise EdgeError(
                "The calibration was made by another version of Edge SDK, which observed other "
                "tensors: run `edge-sdk calibrate` again."
            )

    def save(self, path: Path | str) -> None:
        """Write the calibration to a file, whole or not at all."""
        header = {
            "schema": SCHEMA,
            "model_key": self.model_key,
            "preprocessing": self.preprocessing,
            "images": self.images,
            "source": self.source,
            "tensors": [
                {
                    "name": name,
                    "signed": histogram.signed,
                    "exponent": histogram.exponent,
                    "zeros": histogram.zeros,
                    "minimum": histogram.minimum,
                    "maximum": histogram.maximum,
                    "peaks": histogram.peaks.tolist(),
                }
                for name, histogram in self.histograms.items()
            ],
        }
        text = np.frombuffer(json.dumps(header).encode(), np.uint8)
        counts = [histogram.counts for histogram in self.histograms.values()]
        with replacing(path) as beside, open(beside, "wb") as file:
            np.savez_compressed(
                file, header=text, counts=np.concatenate([np.zeros(0, np.int64), *counts])
            )

    @classmethod
    def load(cls, path: Path | str) -> Calibration:
        """Read what `save` wrote.

        Raises
        ------
        EdgeError
            If the file cannot be read or is not a calibration.
        """
        try:
            # An open file, since numpy leaves one that it opened itself and could not read open.
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
                return cls._from_arrays(arrays["header"], arrays["counts"])
        except OSError as error:
            raise EdgeError(
                f"Cannot read the calibration {path}: {error.strerror or error}."
            ) from error
        except Exception as error:  # a malformed zip, array or JSON raises one of a dozen types
            raise EdgeError(
                f"{path} is not a calibration that this version reads, or it is damaged: make it "
                "with `edge-sdk calibrate`."
            ) from error

    @classmethod
    def _from_arrays(cls, header: Any, counts: Any) -> Calibration:
        values = json.loads(header.tobytes())
        if values["schema"] != SCHEMA:
            raise ValueError(f"schema {values['schema']}, this version reads {SCHEMA}")
        sizes = [BINS * (1 + bool(tensor["signed"])) for tensor in values["tensors"]]
        if counts.shape != (sum(sizes),):
            raise ValueError(f"{counts.size} counts in the place of {sum(sizes)}")
        parts = np.split(counts, np.cumsum(sizes)[:-1]) if sizes else []
        histograms = {
            str(tensor["name"]): _histogram(tensor, part)
            for tensor, part in zip(values["tensors"], parts, strict=True)
        }
        return cls(
            str(values["model_key"]),
            str(values["preprocessing"]),
            tuple(map(str, values["images"])),
            histograms,
            str(values.get("source", "")),
        )


def _histogram(fields: dict[str, Any], counts: Any) -> Histogram:
    histogram = Histogram(
        signed=bool(fields["signed"]),
        exponent=int(fields["exponent"]),
        counts=counts.copy(),
        zeros=int(fields["zeros"]),
        minimum=float(fields["minimum"]),
        maximum=float(fields["maximum"]),
        peaks=np.array(fields.get("peaks", ()), np.float32),
    )
    histogram.check()
    return histogram
