"""Let a graph that was exported for one image take any number of them.

Exporters write the batch size into the shapes of reshapes: (1, 85, -1). ONNX copies a dimension
that is given as 0 from the tensor that is reshaped, so where that tensor's first dimension is the
batch,

    Reshape(x, (1, ...))  ->  Reshape(x, (0, ...)).

Only tensors are taken that are known to start with one image.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from edge_sdk.converters.graph_index import GraphIndex, attribute


def open_batch(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy whose reshapes of one image take a batch."""
    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    index = GraphIndex(opened.graph)
    batched = _starting_with_one(model)
    for node in opened.graph.node:
        if node.op_type != "Reshape" or attribute(node, "allowzero", 0):
            continue
        if node.input[0] not in batched or not index.is_constant(node.input[1]):
            continue
        shape = index.value(node.input[1])
        if len(shape) > 1 and shape[0] == 1:
            name = f"{node.input[1]}.batch.{node.output[0]}"
            opened.graph.initializer.append(
                numpy_helper.from_array(np.array([0, *shape[1:]], np.int64), name)
            )
            node.input[1] = name
    return opened


def _starting_with_one(model: onnx.ModelProto) -> set[str]:
    """Return the tensors [1, ...] of a graph."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    names = set()
    for value in (*graph.input, *graph.value_info):
        dims = value.type.tensor_type.shape.dim
        if len(dims) > 1 and dims[0].dim_value == 1:
            names.add(value.name)
    return names
