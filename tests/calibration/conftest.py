"""A network small enough to be calibrated in milliseconds, and pictures to do it on."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edge_sdk.converters.model_file import save_model, set_head_spec
from edge_sdk.head_spec import HeadSpec

SIZE = 32


@pytest.fixture
def network() -> onnx.ModelProto:
    """Two branches (one behind ReLU), their Concat, a pooling and a head of one class."""
    rng = np.random.default_rng(0)

    def weight(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array(rng.normal(0, 0.3, shape).astype(np.float32), name)

    def conv(source: str, name: str, result: str) -> onnx.NodeProto:
        inputs = [source, f"{name}.weight", f"{name}.bias"]
        return helper.make_node("Conv", inputs, [result], name=name, pads=[1, 1, 1, 1])

    widths = {"stem": (4, 3), "plain": (4, 4), "head": (6, 8)}
    tensors = [weight(f"{name}.weight", *ends, 3, 3) for name, ends in widths.items()]
    tensors += [weight(f"{name}.bias", ends[0]) for name, ends in widths.items()]
    nodes = [
        conv("images", "stem", "stem"),
        helper.make_node("Relu", ["stem"], ["relu"]),
        conv("relu", "plain", "plain"),
        helper.make_node("Concat", ["relu", "plain"], ["joined"], axis=1),
        helper.make_node("MaxPool", ["joined"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]),
        conv("pooled", "head", "raw"),
        helper.make_node("Reshape", ["raw", "shape"], ["flat"]),
        helper.make_node("Transpose", ["flat"], ["predictions"], perm=[0, 2, 1]),
    ]
    tensors.append(numpy_helper.from_array(np.array([1, 6, -1]), "shape"))
    ends = (("images", [1, 3, SIZE, SIZE]), ("predictions", [1, SIZE * SIZE // 4, 6]))
    infos = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, at) for name, at in ends]
    graph = helper.make_graph(nodes, "tiny", infos[:1], infos[1:], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    spec = HeadSpec(
        family="yolox",
        layout="grid",
        class_names=("thing",),
        input_name="images",
        input_size=(SIZE, SIZE),
        outputs={"predictions": ("predictions",)},
    )
    set_head_spec(model, spec)
    return model


@pytest.fixture
def model_path(network: onnx.ModelProto, tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    save_model(network, path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty random pictures of various sizes."""
    rng = np.random.default_rng(1)
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(20):
        shape = (*rng.integers(20, 60, 2), 3)
        cv2.imwrite(str(folder / f"{index:02d}.png"), rng.integers(0, 255, shape, np.uint8))
    return folder
