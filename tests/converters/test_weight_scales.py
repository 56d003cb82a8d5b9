from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edge_sdk.converters.weight_scales import channel_scales, weight_scales
from edge_sdk.errors import EdgeError
from edge_sdk.quantization_table import STEPS, ActivationScale

NO_FLOOR = np.zeros(1)


def graph(weight: np.ndarray, bias: np.ndarray | None, kind: str = "Conv") -> onnx.ModelProto:
    """One layer, x -> y, with weight w and bias b."""
    tensors = [numpy_helper.from_array(weight, "w")]
    if bias is not None:
        tensors.append(numpy_helper.from_array(bias, "b"))
    node = helper.make_node(kind, ["x", "w", *(["b"] if bias is not None else [])], ["y"])
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, None, None, None])
        for name in ("x", "y")
    ]
    return helper.make_model(helper.make_graph([node], "layer", ends[:1], ends[1:], tensors))


def random_weight(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(("axis", "others"), [(0, (1, 2, 3)), (1, (0, 2, 3))])
def test_the_largest_of_each_channel_is_the_last_step(axis: int, others: tuple[int, ...]) -> None:
    weight = random_weight(6, 4, 3, 3)
    scales = channel_scales(weight, axis, NO_FLOOR)
    assert scales.dtype == np.float32
    assert scales == pytest.approx(np.abs(weight).max(axis=others) / STEPS)


def test_dead_channels_get_a_positive_scale() -> None:
    weight = random_weight(4, 3, 1, 1)
    weight[1], weight[2] = 0, 1e-40
    scales = channel_scales(weight, 0, NO_FLOOR)
    assert (scales > 0).all()
    assert scales[1] == scales[2] == pytest.approx(scales.max() * 2**-24)
    assert (channel_scales(np.zeros((4, 3, 1, 1), np.float32), 0, NO_FLOOR) > 0).all()


def test_a_nearly_dead_channel_leaves_room_for_its_bias() -> None:
    weight = random_weight(3, 2, 1, 1)
    weight[1] *= 1e-12
    bias = np.array([0.5, -0.5, 0.0], np.float32)
    step = 0.01
    table = {"x": ActivationScale(step, signed=True, method="max")}
    scales = weight_scales(graph(weight, bias), {"w": 0}, table)["w"].scales.astype(np.float64)
    assert (np.rint(np.abs(bias) / (step * scales)) <= 2**30 + 128).all()
    assert scales[0] == pytest.approx(np.abs(weight[0]).max() / STEPS)
    assert scales[1] == pytest.approx(0.5 / (step * 2**30))


def test_convtranspose_has_its_channels_on_axis_one() -> None:
    weight = random_weight(2, 3, 2, 2)
    weight[:, 1] = 0
    bias = np.array([0, 2, 0], np.float32)
    model = graph(weight, bias, "ConvTranspose")
    table = {"x": ActivationScale(0.001, signed=True, method="max")}
    found = weight_scales(model, {"w": 1}, table)["w"]
    assert (found.axis, found.scales.shape) == (1, (3,))
    assert found.scales[1] == pytest.approx(2 / (0.001 * 2**30))


def test_a_grouped_convtranspose_takes_the_largest_bias_of_all_groups() -> None:
    floor = np.array([1, 2, 3, 0, 5, 0], np.float64)  # two groups of three channels
    assert channel_scales(np.zeros((4, 3, 2, 2)), 1, floor) == pytest.approx([1, 5, 3])


def test_no_bias_no_floor() -> None:
    weight = random_weight(3, 2, 1, 1)
    table = {"x": ActivationScale(1e-9, signed=True, method="max")}
    scales = weight_scales(graph(weight, None), {"w": 0}, table)["w"].scales
    assert scales == pytest.approx(np.abs(weight).max(axis=(1, 2, 3)) / STEPS)


@pytest.mark.parametrize("where", ["w", "b"])
def test_a_broken_weight_is_named(where: str) -> None:
    weight, bias = random_weight(3, 2, 1, 1), np.zeros(3, np.float32)
    (weight if where == "w" else bias).reshape(-1)[0] = np.nan
    table = {"x": ActivationScale(0.1, signed=True, method="max")}
    with pytest.raises(EdgeError, match=f"'{where}'"):
        weight_scales(graph(weight, bias), {"w": 0}, table)
