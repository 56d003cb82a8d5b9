"""NNCF's `quantize`: peer_nncf.py MODEL INPUTS OUTPUT PRESET

MODEL is a float ONNX file, INPUTS a .npy file float32 [images, 3, H, W], OUTPUT the folder to
write model.xml to. Run it with the Python of an environment that has nncf and openvino; nothing
of Edge SDK is imported.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import nncf
import numpy as np
import openvino

PRESETS: dict[str, dict[str, Any]] = {
    "performance": {"preset": nncf.QuantizationPreset.PERFORMANCE},
    "mixed": {"preset": nncf.QuantizationPreset.MIXED},
    "mixed, accurate bias": {
        "preset": nncf.QuantizationPreset.MIXED,
        "fast_bias_correction": False,
    },
}


def main() -> None:
    model, inputs, output = map(Path, sys.argv[1:4])
    images = np.load(inputs, mmap_mode="r")
    dataset = nncf.Dataset(images, lambda image: np.ascontiguousarray(image[None]))
    quantized = nncf.quantize(
        openvino.Core().read_model(model),
        dataset,
        subset_size=len(images),
        target_device=nncf.TargetDevice.CPU,
        **PRESETS[sys.argv[4]],
    )
    openvino.save_model(quantized, output / "model.xml", compress_to_fp16=False)


if __name__ == "__main__":
    main()
