"""A small random detector, for tests that need a network but not a good one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge_sdk.bundle import write_bundle
from edge_sdk.head_spec import METADATA_KEY, HeadSpec

CLASSES = ("car", "truck", "pedestrian")
SIZE = (96, 128)
STRIDES = (8, 16, 32)
REG_MAX = 16


def tiny_spec(size: tuple[int, int] = SIZE, classes: tuple[str, ...] = CLASSES) -> HeadSpec:
    """The contract of `write_tiny_model`."""
    return HeadSpec(
        family="yolo_nas",
        layout="dfl",
        class_names=classes,
        input_name="images",
        input_size=size,
        outputs={
            "classes": tuple(f"classes_{stride}" for stride in STRIDES),
            "distances": tuple(f"distances_{stride}" for stride in STRIDES),
        },
        strides=STRIDES,
        reg_max=REG_MAX,
    )


def write_tiny_model(
    path: Path, spec: HeadSpec | None = None, *, seed: int = 0, batch: int | str = 1
) -> Path:
    """Write a float ONNX detector of a few convolutions; it sees boxes in every frame."""
    spec = spec or tiny_spec()
    rng = np.random.default_rng(seed)
    nodes, weights, outputs = [], [], []

    def conv(source: str, target: str, out: int, into: int, side: int, stride: int) -> None:
        kernel = rng.normal(0, np.sqrt(4 / (into * side * side)), (out, into, side, side))
        bias = rng.normal(0, 0.1, out)
        for name, value in ((f"{target}.w", kernel), (f"{target}.b", bias)):
            weights.append(numpy_helper.from_array(value.astype(np.float32), name))
        inputs = [source, f"{target}.w", f"{target}.b"]
        pad = side // 2
        nodes.append(
            helper.make_node("Conv", inputs, [target], strides=[stride] * 2, pads=[pad] * 4)
        )

    source, channels = spec.input_name, 3
    classes = dict(zip(spec.strides, spec.outputs["classes"], strict=True))
    distances = dict(zip(spec.strides, spec.outputs["distances"], strict=True))
    for stride in (2, 4, 8, 16, 32):
        conv(source, f"c{stride}", 16, channels, 3, 2)
        nodes.append(helper.make_node("Relu", [f"c{stride}"], [f"r{stride}"]))
        source, channels = f"r{stride}", 16
        for names, out in ((classes, spec.num_classes), (distances, 4 * (spec.reg_max + 1))):
            if stride in names:
                conv(source, names[stride], out, channels, 1, 1)
                shape = [batch, out, *(side // stride for side in spec.input_size)]
                outputs.append(
                    helper.make_tensor_value_info(names[stride], TensorProto.FLOAT, shape)
                )
    image = helper.make_tensor_value_info(
        spec.input_name, TensorProto.FLOAT, [batch, 3, *spec.input_size]
    )
    graph = helper.make_graph(nodes, "tiny", [image], outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    helper.set_model_props(model, {METADATA_KEY: spec.to_json()})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return path


def write_tiny_bundle(output: Path, model: Path, spec: HeadSpec | None = None) -> Path:
    """Write a bundle whose engines, for both CPU targets, are the float model itself."""
    spec = spec or tiny_spec()
    engines = {target: f"engines/{target}/model.onnx" for target in ("openvino", "onnxruntime")}
    return write_bundle(
        output,
        {"model.onnx": model, **dict.fromkeys(engines.values(), model)},
        {
            "head_spec": spec.to_dict(),
            "model_key": "",
            "engines": {target: {"file": file} for target, file in engines.items()},
        },
    )
