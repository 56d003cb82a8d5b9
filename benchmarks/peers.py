"""What others make of the same float model: NNCF for OpenVINO, ONNX Runtime's own quantizer.

peers.py FOLDER

FOLDER is the one of cpu_engines.py, which puts model.onnx and images.npy there. Run this with
the Python of an environment that has nncf, openvino, onnxruntime and onnx; nothing of Edge SDK is
imported. Both get the same images, their documented defaults for convolutional networks, and the
graph cut at the same place: post-training quantization with mixed preset (asymmetric
activations), and QDQ with uint8 activations and int8 weights a channel.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

NNCF, QUANTIZER = "nncf.xml", "onnxruntime_u8s8.onnx"


def main() -> None:
    folder = Path(sys.argv[1])
    images = list(np.load(folder / "images.npy")[:, None])
    nncf(folder, images)
    onnxruntime(folder, images)


def nncf(folder: Path, images: list[np.ndarray]) -> None:
    import nncf
    import openvino

    model = openvino.Core().read_model(folder / "model.onnx")
    quantized = nncf.quantize(
        model,
        nncf.Dataset(images),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(images),
    )
    openvino.save_model(quantized, folder / NNCF)


def onnxruntime(folder: Path, images: list[np.ndarray]) -> None:
    import onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    name = onnx.load(folder / "model.onnx").graph.input[0].name

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.images = iter(images)

        def get_next(self) -> dict[str, np.ndarray] | None:
            image = next(self.images, None)
            return None if image is None else {name: image}

    prepared = folder / "prepared.onnx"
    quant_pre_process(folder / "model.onnx", prepared, skip_symbolic_shape=True)
    quantize_static(
        prepared,
        folder / QUANTIZER,
        Reader(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    prepared.unlink()


if __name__ == "__main__":
    main()
