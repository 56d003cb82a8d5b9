"""Store float32 weights as float16: half the file, the same graph.

    w  ->  Cast(w16)    where w16 = float16(w)

Every engine folds the casts when it loads the graph, and computes in float32 as before. The
weights lose their last thirteen bits once; storing them again changes nothing.
"""

from __future__ import annotations

import copy

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge_sdk.errors import EdgeError


def half_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy whose float32 initializers are stored as float16.

    Raises
    ------
    EdgeError
        If a weight is too large for float16.
    """
    model = copy.deepcopy(model)
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        name = tensor.name
        with np.errstate(over="ignore"):
            values = np.asarray(numpy_helper.to_array(tensor), np.float32).astype(np.float16)
        if not np.isfinite(values).all():
            raise EdgeError(f"The weight {name} has values beyond 65504: keep it in float32.")
        tensor.CopyFrom(numpy_helper.from_array(values, f"{name}.half"))
        casts.append(
            helper.make_node("Cast", [tensor.name], [name], f"{name}.cast", to=TensorProto.FLOAT)
        )
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return model
