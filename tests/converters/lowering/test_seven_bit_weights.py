"""CPUs without VNNI add two products of uint8 and int8 up in int16."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from small_graphs import graph, layers_of, node, table_of

from edge_sdk.converters.lowering.openvino import lower

CHANNELS = 64

RUN = """
import sys, numpy, openvino
compiled = openvino.Core().compile_model(sys.argv[1], "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
x = numpy.ones((1, 64, 16, 16), numpy.float32)
print(compiled(x)[0].max())
"""


def lowered(seven_bit_weights: bool) -> onnx.ModelProto:
    """Every product is as large as it can be: the sum of all is the number of channels."""
    model = graph(
        [node("Relu", "x", "r"), node("Conv", "r w", "c"), node("Relu", "c", "y0"),
         node("Conv", "y0 w2", "y")],
        {"w": np.ones((CHANNELS, CHANNELS, 1, 1)),
         "w2": np.eye(CHANNELS).reshape(CHANNELS, CHANNELS, 1, 1)},
        ["y"],
        shape=(1, CHANNELS, 16, 16),
    )  # fmt: skip
    table = table_of(model, {"r": 1.0, "y0": float(CHANNELS)})
    return lower(model, table, layers_of(model), seven_bit_weights=seven_bit_weights)


def test_a_pair_of_products_fits_sixteen_bits() -> None:
    (weight,) = (
        numpy_helper.to_array(tensor)
        for tensor in lowered(seven_bit_weights=True).graph.initializer
        if tensor.name == "w.q"
    )
    assert 2 * 255 * int(np.abs(weight.astype(int)).max()) <= np.iinfo(np.int16).max


@pytest.mark.parametrize(
    ("seven_bit_weights", "right"), [(True, True), (False, False)], ids=["seven", "eight"]
)
def test_sums_are_right_without_vnni(seven_bit_weights: bool, right: bool, tmp_path: Path) -> None:
    """Eight bits are shown to fail, so that the test would notice a limit without effect."""
    onnx.save(lowered(seven_bit_weights), tmp_path / "model.onnx")
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2", "DNNL_MAX_CPU_ISA": "AVX2"}
    run = subprocess.run(
        [sys.executable, "-c", RUN, str(tmp_path / "model.onnx")],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert (abs(float(run.stdout) - CHANNELS) < 1) == right
