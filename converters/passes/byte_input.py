"""Take pixels as bytes: a quarter of the copy to the GPU, and the scaling done there.

    x  ->  scale * float16(x8),   x8 = 0..255

Bytes are exact in float16. With the network's own factor 1 the multiplication is left out.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def byte_input(model: onnx.ModelProto, scale: float) -> onnx.ModelProto:
    """Return a copy whose only input, float16 [B, 3, H, W], is uint8 instead.

    Parameters
    ----------
    model : with a float16 input.
    scale : the factor on pixels that the network wants.
    """
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    image = graph.input[0]
    source = f"{image.name}.float16" if scale != 1.0 else f"{image.name}.scaled"
    scaled = f"{image.name}.scaled"
    for node in graph.node:
        node.input[:] = [scaled if name == image.name else name for name in node.input]
    image.type.tensor_type.elem_type = TensorProto.UINT8
    first = [helper.make_node("Cast", [image.name], [source], source, to=TensorProto.FLOAT16)]
    if scale != 1.0:
        factor = numpy_helper.from_array(np.array(scale, np.float16), f"{image.name}.factor")
        graph.initializer.append(factor)
        first.append(helper.make_node("Mul", [source, factor.name], [scaled], scaled))
    nodes = [*first, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return changed
