import numpy as np
import onnx
import pytest
from small_graphs import graph, node

from edge_sdk.converters.passes.byte_input import byte_input
from edge_sdk.converters.passes.half_precision import half_precision
from edge_sdk.converters.reference import run_float32

ONE = np.ones((1, 1, 1, 1))


@pytest.mark.parametrize(("scale", "nodes"), [(1 / 255, 2), (1.0, 1)])
def test_bytes_come_in_and_are_scaled_in_the_graph(scale: float, nodes: int) -> None:
    model = graph([node("Conv", "x w", "y")], {"w": ONE}, ["y"])
    changed = byte_input(half_precision(model, {"y"}), scale)
    onnx.checker.check_model(changed, full_check=True)
    assert len(changed.graph.node) == nodes + 1
    x = np.arange(16, dtype=np.uint8).reshape(1, 1, 4, 4) * 17
    (y,) = run_float32(changed, {"x": x}).values()
    np.testing.assert_allclose(y, x * scale, rtol=2e-3)
