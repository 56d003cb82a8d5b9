import numpy as np
from small_graphs import graph, node

from edge_sdk.converters.passes.open_batch import open_batch
from edge_sdk.converters.prepare import with_input
from edge_sdk.converters.reference import run_float32


def test_a_graph_for_one_image_takes_three() -> None:
    """The first reshape starts with the batch; the second only moves rows into a single one."""
    model = graph(
        [
            node("Reshape", "x rows", "r"),
            node("Transpose", "r", "t", perm=[1, 0, 2]),
            node("Reshape", "t flat", "f"),
            node("Reshape", "x square", "y"),
        ],
        {
            "rows": np.array([1, 3, -1]),
            "flat": np.array([1, -1]),
            "square": np.array([1, 1, 16, 3]),
        },
        ["y", "f"],
        shape=(1, 3, 4, 4),
    )
    opened = with_input(open_batch(model), (4, 4), "batch")
    x = np.random.default_rng(0).normal(size=(3, 3, 4, 4)).astype(np.float32)
    batch = run_float32(opened, {"x": x})
    singles = [run_float32(model, {"x": x[i : i + 1]}) for i in range(3)]
    np.testing.assert_array_equal(batch["y"], np.concatenate([one["y"] for one in singles]))
    assert batch["f"].shape == (1, 144)
