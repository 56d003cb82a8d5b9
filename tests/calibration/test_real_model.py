from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_sdk.calibration import calibrate
from edge_sdk.converters.convert import convert
from edge_sdk.converters.model_file import load_model
from edge_sdk.quantization_table import STEPS


@pytest.mark.shared
def test_yolox_nano_on_coco_images(shared: Path, tmp_path: Path) -> None:
    model_path, output = tmp_path / "model.onnx", tmp_path / "model.calib"
    convert(shared / "weights" / "yolox_nano.onnx", model_path)
    images = shared / "data" / "coco128" / "images" / "train2017"
    calibration = calibrate(model_path, images, output, limit=6)
    assert (len(calibration.images), calibration.skipped) == (6, ())
    pixels = calibration.histograms["images"]
    assert (pixels.minimum, pixels.maximum) == (0, 255)
    assert pixels.total == 6 * 3 * 416 * 416

    model = load_model(model_path)
    largest = calibration.quantization_table(model, "openvino", "max").activations
    chosen = {
        method: calibration.quantization_table(model, "openvino", method).activations
        for method in ("mse", "percentile")
    }
    for scales in chosen.values():
        clipped = [scales[name].scale / largest[name].scale for name in largest]
        assert 0.3 < np.median(clipped) < 1
        assert max(clipped) < 1.5  # where sharing differs
    for name, histogram in calibration.histograms.items():
        assert largest[name].scale * STEPS >= histogram.largest * (1 - 1e-6)

    assert calibrate(model_path, images, output, limit=6).reused == 6
