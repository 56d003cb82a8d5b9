"""SiLU, x * sigmoid(x), in 8-bit integers, for engines that would leave it float.

ONNX Runtime runs a convolution on integers only if its output is quantized too. So x, which
calibration does not observe, needs a grid, and it follows from the grid of y = x sigmoid(x),
which ends at h:

    high  solves x sigmoid(x) = h (y is never above x, and hardly below it),
    low   is where y has come within half a step of 0 from below: further down, nothing happens.

sigmoid(x) gets all 255 steps of 0..1.
"""

from __future__ import annotations

import math

import numpy as np

from edge_sdk.converters.graph_index import GraphIndex
from edge_sdk.converters.lowering.quantization import Grid
from edge_sdk.converters.quantization_points import is_weighted_layer, silu_input

_LEVELS = 255
_SIGMOID = Grid(1 / _LEVELS, 0, np.uint8)


def silu_grids(
    index: GraphIndex, layers: frozenset[str], activations: dict[str, Grid]
) -> dict[str, Grid]:
    """Return the grids inside every SiLU between a Conv of `layers` and a quantized tensor.

    Parameters
    ----------
    index : of the float graph.
    layers : names of the weighted layers to run in INT8.
    activations : tensor name -> its grid, uint8.
    """
    grids: dict[str, Grid] = {}
    for node in index.graph.node:
        x = silu_input(node, index)
        output = activations.get(node.output[0])
        layer = index.producers.get(x) if x is not None else None
        if x is None or output is None or layer is None:
            continue
        convolution = layer.op_type == "Conv" and is_weighted_layer(layer, index)
        if convolution and layer.name in layers:
            (sigmoid,) = set(node.input) - {x}
            grids[x] = input_grid(output)
            grids[sigmoid] = _SIGMOID
    return grids


def input_grid(output: Grid) -> Grid:
    """Return the grid of x for the grid of x * sigmoid(x)."""
    end = (_LEVELS - output.zero_point) * output.scale
    high = end
    for _ in range(50):
        high = end * (1 + math.exp(-high))
    low = -1.2784645  # where x * sigmoid(x) is least
    while low / (1 + math.exp(-low)) < -output.scale / 2:
        low -= 0.01
    scale = (high - low) / _LEVELS
    return Grid(scale, round(-low / scale), np.uint8)
