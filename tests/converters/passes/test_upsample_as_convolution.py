import numpy as np
import onnx
import pytest
from small_graphs import graph, layers_of, node, run_onnxruntime, table_of

from edge_sdk.converters.lowering.onnxruntime import lower
from edge_sdk.converters.passes.upsample_as_convolution import upsample_as_convolution


def model(rng: np.random.Generator, **attributes: object) -> onnx.ModelProto:
    settings = {"kernel_shape": [2, 2], "strides": [2, 2], **attributes}
    return graph(
        [node("Relu", "x", "r"), node("ConvTranspose", "r w b", "up", **settings)],
        {"w": rng.normal(size=(3, 5, 2, 2)), "b": rng.normal(size=5)},
        ["up"],
        shape=(1, 3, 4, 7),
    )


def test_the_rewrite_computes_the_same() -> None:
    rng = np.random.default_rng(0)
    original = model(rng)
    rewritten, _ = upsample_as_convolution(original, table_of(original, {}))
    onnx.checker.check_model(rewritten)
    assert "ConvTranspose" not in {n.op_type for n in rewritten.graph.node}
    x = rng.normal(size=(1, 3, 4, 7))
    (expected,), (result,) = run_onnxruntime(original, x), run_onnxruntime(rewritten, x)
    np.testing.assert_allclose(result, expected, rtol=1e-6, atol=1e-6)


def test_scales_follow_their_channels() -> None:
    original = model(np.random.default_rng(0))
    table = table_of(original, {})
    _, rewritten = upsample_as_convolution(original, table)
    np.testing.assert_array_equal(
        rewritten.weights["w.rows"].scales, np.tile(table.weights["w"].scales, 4)
    )


@pytest.mark.parametrize(
    "attributes", [{"strides": [1, 1]}, {"pads": [1, 1, 0, 0]}, {"output_padding": [1, 1]}]
)
def test_other_transposed_convolutions_are_left_alone(attributes: dict[str, object]) -> None:
    original = model(np.random.default_rng(0), **attributes)
    rewritten, _ = upsample_as_convolution(original, table_of(original, {}))
    assert [n.op_type for n in rewritten.graph.node] == ["Relu", "ConvTranspose"]


def test_it_runs_on_integers_in_a_lowered_graph() -> None:
    rng = np.random.default_rng(0)
    up = node("ConvTranspose", "x w b", "up", kernel_shape=[2, 2], strides=[2, 2])
    original = graph(
        [up, node("Conv", "up w2", "y")],
        {"w": rng.normal(size=(3, 5, 2, 2)), "b": rng.normal(size=5),
         "w2": rng.normal(size=(2, 5, 1, 1))},
        ["y"],
        shape=(1, 3, 4, 7),
    )  # fmt: skip
    x = rng.uniform(-1, 1, size=(1, 3, 4, 7))
    table = table_of(original, {"up": 6.0})
    (expected,) = run_onnxruntime(original, x)
    (result,) = run_onnxruntime(lower(original, table, layers_of(original)), x)
    assert np.abs(result - expected).max() < 0.02 * np.abs(expected).max()


def test_with_an_activation_behind_it_the_layer_stays() -> None:
    rng = np.random.default_rng(0)
    original = graph(
        [
            node("ConvTranspose", "x w b", "up", kernel_shape=[2, 2], strides=[2, 2]),
            node("Relu", "up", "r"),
            node("Conv", "r w2", "y"),
        ],
        {"w": rng.normal(size=(3, 5, 2, 2)), "b": rng.normal(size=5),
         "w2": rng.normal(size=(2, 5, 1, 1))},
        ["y"],
        shape=(1, 3, 4, 7),
    )  # fmt: skip
    x = rng.uniform(-1, 1, size=(1, 3, 4, 7))
    lowered = lower(original, table_of(original, {"r": 6.0}), layers_of(original))
    (expected,), (result,) = run_onnxruntime(original, x), run_onnxruntime(lowered, x)
    assert np.abs(result - expected).max() < 0.05 * np.abs(expected).max()
