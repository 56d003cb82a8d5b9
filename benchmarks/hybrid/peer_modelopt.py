"""NVIDIA Model-Optimizer's ONNX `quantize`: peer_modelopt.py MODEL INPUTS OUTPUT PRESET

MODEL is a float ONNX file, INPUTS a .npy file float32 [images, 3, H, W], OUTPUT the folder to
write model.onnx to. Run it with the Python of an environment that has nvidia-modelopt and what
its ONNX part needs; nothing of Edge SDK is imported. What it leaves float stays float32.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from modelopt.onnx.quantization import quantize

PRESETS: dict[str, dict[str, Any]] = {
    "entropy": {"calibration_method": "entropy"},
    "max": {"calibration_method": "max"},
    "entropy, predictions float": {"calibration_method": "entropy"},
}
HELD = 4 << 30
"""Bytes of tensors: the calibrator keeps all tensors of all images."""


def main() -> None:
    path, inputs, output = map(Path, sys.argv[1:4])
    preset = sys.argv[4]
    model = onnx.load(path)
    graph = model.graph
    images = np.load(inputs, mmap_mode="r")[: images_that_fit(model)]
    print(f"calibrated on {len(images)} images")
    quantize(
        str(path),
        calibration_data={graph.input[0].name: np.ascontiguousarray(images)},
        calibration_eps=["cpu"],
        high_precision_dtype="fp32",
        nodes_to_exclude=predictions(graph) if preset.endswith("float") else [],
        output_path=str(output / "model.onnx"),
        **PRESETS[preset],
    )


def images_that_fit(model: onnx.ModelProto) -> int:
    """Return their number, from the sizes of all tensors of a model with static shapes."""
    values = onnx.shape_inference.infer_shapes(model).graph.value_info
    shapes = [[size.dim_value for size in value.type.tensor_type.shape.dim] for value in values]
    return HELD // (4 * sum(int(np.prod(shape)) for shape in shapes))


def predictions(graph: onnx.GraphProto) -> list[str]:
    """Return the last convolution on each way to an output."""
    producers = {name: node for node in graph.node for name in node.output}
    found: dict[str, None] = {}
    waiting = [output.name for output in graph.output]
    while waiting:
        node = producers.get(waiting.pop())
        if node is None:
            continue
        if node.op_type == "Conv":
            found[node.name] = None
        else:
            waiting.extend(node.input)
    return list(found)


if __name__ == "__main__":
    main()
