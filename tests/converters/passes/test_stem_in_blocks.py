import numpy as np
import onnx
import pytest
from small_graphs import graph, layers_of, node, run_onnxruntime, table_of

from edge_sdk.converters.lowering.onnxruntime import lower
from edge_sdk.converters.passes.stem_in_blocks import stem_in_blocks

STEM = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}


def model(
    rng: np.random.Generator,
    channels: int = 3,
    size: tuple[int, int] = (8, 12),
    **attributes: object,
) -> onnx.ModelProto:
    return graph(
        [
            node("Conv", "x w b", "stem", **{**STEM, **attributes}),
            node("Relu", "stem", "r"),
            node("Conv", "r w2", "y"),
        ],
        {
            "w": rng.normal(size=(5, channels, 3, 3)),
            "b": rng.normal(size=5),
            "w2": rng.normal(size=(2, 5, 1, 1)),
        },
        ["y"],
        shape=(1, channels, *size),
    )


def test_the_rewrite_computes_the_same() -> None:
    rng = np.random.default_rng(0)
    original = model(rng)
    rewritten, table = stem_in_blocks(original, table_of(original, {}))
    onnx.checker.check_model(rewritten)
    (stem,) = (n for n in rewritten.graph.node if n.name == "stem")
    assert stem.input[1] in table.weights
    x = rng.normal(size=(1, 3, 8, 12))
    (expected,), (result,) = run_onnxruntime(original, x), run_onnxruntime(rewritten, x)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {"strides": [1, 1]},
        {"pads": [0, 0, 0, 0]},
        {"dilations": [2, 2]},
        {"channels": 16},
        {"size": (9, 12)},
    ],
)
def test_other_convolutions_are_left_alone(changes: dict[str, object]) -> None:
    original = model(np.random.default_rng(0), **changes)  # type: ignore[arg-type]
    rewritten, _ = stem_in_blocks(original, table_of(original, {}))
    assert [n.op_type for n in rewritten.graph.node] == ["Conv", "Relu", "Conv"]


def test_it_runs_on_integers_in_a_lowered_graph() -> None:
    rng = np.random.default_rng(0)
    original = model(rng)
    x = rng.uniform(-1, 1, size=(1, 3, 8, 12))
    lowered = lower(original, table_of(original, {"r": 16.0}), layers_of(original))
    (expected,), (result,) = run_onnxruntime(original, x), run_onnxruntime(lowered, x)
    assert np.abs(result - expected).max() < 0.02 * np.abs(expected).max()
