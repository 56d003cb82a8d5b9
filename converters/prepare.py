"""Bringing any float ONNX detector into the one form that the passes read."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from onnx import TensorProto, numpy_helper

from edge_sdk.converters.heads.signature import Signature
from edge_sdk.converters.model_file import OPSET, metadata
from edge_sdk.converters.passes.name_layers import name_layers
from edge_sdk.converters.reference import run_float32
from edge_sdk.errors import EdgeError

DEFAULT_SIZE = (640, 640)


def prepare(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model at the SDK's opset, constants folded, shapes inferred, layers named.

    Raises
    ------
    EdgeError
        If the model has not exactly one input, float32 [B, 3, H, W], or cannot be upgraded.
    """
    _check_input(model)
    if _opset(model) < OPSET:
        try:
            model = onnx.version_converter.convert_version(model, OPSET)
        except Exception as error:  # it raises bare RuntimeErrors
            raise EdgeError(
                f"The ONNX model (opset {_opset(model)}) cannot be upgraded to opset {OPSET} "
                f"({error}): export it again with a newer opset."
            ) from error
    graph = import_graph(model)
    with _quiet():
        graph.fold_constants().cleanup().toposort()
    name_layers(graph)
    return export_graph(graph, model)


def import_graph(model: onnx.ModelProto) -> gs.Graph:
    """Return a graph for the passes, with inferred shapes."""
    return gs.import_onnx(onnx.shape_inference.infer_shapes(model))


def export_graph(graph: gs.Graph, like: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model of a graph, with the metadata of the model that it came from."""
    model: onnx.ModelProto = gs.export_onnx(graph, do_type_check=False)
    model.ir_version = max(like.ir_version, 9)
    model.producer_name = "edge-sdk"
    onnx.helper.set_model_props(model, metadata(like))
    return model


def input_shape(model: onnx.ModelProto) -> list[int | None]:
    """Return the dimensions of the only input; None where they are open."""
    dims = _image(model).type.tensor_type.shape.dim
    return [dim.dim_value if dim.HasField("dim_value") else None for dim in dims]


def input_size(model: onnx.ModelProto) -> tuple[int, int]:
    """Return (height, width) of the input, 640 where the graph leaves it open."""
    height, width = input_shape(model)[2:]
    return height or DEFAULT_SIZE[0], width or DEFAULT_SIZE[1]


def with_input(
    model: onnx.ModelProto, size: tuple[int, int], batch: int | str = 1
) -> onnx.ModelProto:
    """Return a copy for another input size or batch size (a name leaves it open)."""
    model = copy.deepcopy(model)
    del model.graph.value_info[:]
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    for dim, value in zip(_image(model).type.tensor_type.shape.dim, (batch, 3, *size), strict=True):
        if isinstance(value, str):
            dim.dim_param = value
        else:
            dim.dim_value = value
    return onnx.shape_inference.infer_shapes(model)


def signature_of(model: onnx.ModelProto) -> Signature:
    """Run a model once on zeros and return what its outputs look like.

    Raises
    ------
    EdgeError
        If it does not run at its input size.
    """
    size, name = input_size(model), _image(model).name
    try:
        outputs = run_float32(model, {name: np.zeros((1, 3, *size), np.float32)})
    except EdgeError as error:
        raise EdgeError(
            f"The model does not run on one image of {size[0]}x{size[1]}, height x width ({error})"
        ) from error
    return Signature(name, size, {output: value.shape for output, value in outputs.items()})


def to_float32(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy in which float64 weights are float32."""
    model = copy.deepcopy(model)
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.DOUBLE:
            array = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep from the user what the libraries say about each node while constants are folded."""
    import onnxruntime
    from onnx_graphsurgeon.logger import G_LOGGER

    onnxruntime.set_default_logger_severity(4)
    try:
        with G_LOGGER.suppress(G_LOGGER.ERROR):
            yield
    finally:
        onnxruntime.set_default_logger_severity(2)


def _image(model: onnx.ModelProto) -> onnx.ValueInfoProto:
    weights = {tensor.name for tensor in model.graph.initializer}
    images = [value for value in model.graph.input if value.name not in weights]
    if len(images) != 1:
        names = ", ".join(value.name for value in images) or "none"
        raise EdgeError(
            f"A detector has one input, the image; this model has {len(images)} ({names})."
        )
    image: onnx.ValueInfoProto = images[0]
    return image


def _check_input(model: onnx.ModelProto) -> None:
    image = _image(model)
    kind = image.type.tensor_type.elem_type
    shape = input_shape(model)
    if kind != TensorProto.FLOAT or len(shape) != 4 or shape[1] not in (3, None):
        raise EdgeError(
            f"The input {image.name} is {TensorProto.DataType.Name(kind).lower()} "
            f"{[dim or '?' for dim in shape]}, not float [B, 3, H, W]: export the model in float32 "
            "with planar images of three channels."
        )


def _opset(model: onnx.ModelProto) -> int:
    return next((e.version for e in model.opset_import if e.domain in ("", "ai.onnx")), 1)
