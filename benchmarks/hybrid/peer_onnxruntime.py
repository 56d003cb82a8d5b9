"""ONNX Runtime's `quantize_static`: peer_onnxruntime.py MODEL INPUTS OUTPUT PRESET

MODEL is a float ONNX file, INPUTS a .npy file float32 [images, 3, H, W], OUTPUT the folder to
write model.onnx to. Run it with the Python of an environment that has onnx and onnxruntime;
nothing of Edge SDK is imported. All presets have uint8 activations and int8 weights a channel:
its advice for x86.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.calibrate import HistogramCalibrater
from onnxruntime.quantization.shape_inference import quant_pre_process

CONVOLUTIONS = {"op_types_to_quantize": ["Conv", "ConvTranspose"]}
PRESETS: dict[str, dict[str, Any]] = {
    "min-max": {},
    "min-max, convolutions": CONVOLUTIONS,
    "percentile, convolutions": {
        **CONVOLUTIONS,
        "calibrate_method": CalibrationMethod.Percentile,
        "extra_options": {"CalibPercentile": 99.99},
    },
    "entropy, convolutions": {**CONVOLUTIONS, "calibrate_method": CalibrationMethod.Entropy},
}


AT_ONCE = 16
COLLECT = HistogramCalibrater.collect_data


class Reader(CalibrationDataReader):
    """One image a call."""

    def __init__(self, feeds: Iterable[dict[str, np.ndarray]]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next image as an input, None behind the last."""
        return next(self._feeds, None)


def collect_in_parts(calibrator: HistogramCalibrater, reader: Reader) -> None:
    """Collect histograms part by part: the calibrator keeps all tensors of what it is given."""
    while part := list(itertools.islice(iter(reader.get_next, None), AT_ONCE)):
        COLLECT(calibrator, Reader(part))


def main() -> None:
    model, inputs, output = map(Path, sys.argv[1:4])
    settings = PRESETS[sys.argv[4]]
    images = np.load(inputs, mmap_mode="r")
    prepared = output / "prepared.onnx"
    quant_pre_process(model, prepared, skip_symbolic_shape=True)
    name = onnx.load(prepared).graph.input[0].name
    HistogramCalibrater.collect_data = collect_in_parts
    quantize_static(
        prepared, output / "model.onnx",
        Reader({name: np.ascontiguousarray(image[None])} for image in images),
        quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, **settings,
    )  # fmt: skip
    prepared.unlink()


if __name__ == "__main__":
    main()
