import math

import numpy as np
import pytest
from small_graphs import graph, layers_of, node, run_onnxruntime, table_of

from edge_sdk.converters.lowering.onnxruntime import lower
from edge_sdk.converters.lowering.quantization import Grid
from edge_sdk.converters.lowering.silu import input_grid


def silu(x: float) -> float:
    return x / (1 + math.exp(-x))


@pytest.mark.parametrize("end", [0.5, 3.0, 20.0, 140.0])
def test_the_grid_of_the_input_covers_that_of_the_output(end: float) -> None:
    scale = (end + 0.2785) / 255
    zero_point = round(0.2785 / scale)
    grid = input_grid(Grid(scale, zero_point, np.uint8))
    highest = (255 - grid.zero_point) * grid.scale
    lowest = -grid.zero_point * grid.scale
    assert silu(highest) == pytest.approx(end, abs=1.5 * grid.scale)
    assert -scale < silu(lowest) <= 0


def test_silu_runs_on_integers() -> None:
    rng = np.random.default_rng(0)
    model = graph(
        [
            node("Conv", "x w", "c"),
            node("Sigmoid", "c", "s"),
            node("Mul", "c s", "m"),
            node("Conv", "m w2", "y"),
        ],
        {"w": rng.normal(size=(4, 3, 1, 1)), "w2": rng.normal(size=(2, 4, 1, 1))},
        ["y"],
        shape=(1, 3, 8, 8),
    )
    x = rng.uniform(-2, 2, size=(1, 3, 8, 8))
    lowered = lower(model, table_of(model, {"x": 2.0, "m": 5.0}), layers_of(model))
    quantized = {n.input[0] for n in lowered.graph.node if n.op_type == "QuantizeLinear"}
    assert quantized == {"x", "c", "s", "m"}
    (expected,), (result,) = run_onnxruntime(model, x), run_onnxruntime(lowered, x)
    assert np.abs(result - expected).max() < 0.03 * np.abs(expected).max()


def test_silu_behind_a_float_layer_stays_float() -> None:
    model = graph(
        [
            node("Conv", "x w", "c"),
            node("Sigmoid", "c", "s"),
            node("Mul", "c s", "m"),
            node("Conv", "m w", "y"),
        ],
        {"w": np.ones((1, 1, 1, 1))},
        ["y"],
    )
    lowered = lower(model, table_of(model, {}), frozenset({"y"}))
    quantized = {n.input[0] for n in lowered.graph.node if n.op_type == "QuantizeLinear"}
    assert quantized == {"m"}
