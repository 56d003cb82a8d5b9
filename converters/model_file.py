"""Float ONNX files: reading untrusted ones, the contract they carry, the key of their content."""

from __future__ import annotations

import hashlib
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import numpy_helper

from edge_sdk.errors import EdgeError
from edge_sdk.files import replacing
from edge_sdk.head_spec import METADATA_KEY, HeadSpec

OPSET = 19
"""The first whose QuantizeLinear takes every type that a target needs."""


def load_model(path: Path | str) -> onnx.ModelProto:
    """Read and check an ONNX file, with its external weights if it has any.

    Raises
    ------
    EdgeError
        If the file is missing, truncated, or no valid ONNX model.
    """
    path = Path(path)
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except OSError as error:
        raise EdgeError(f"Cannot read {path}: {error.strerror or error}.") from error
    except (DecodeError, onnx.checker.ValidationError, ValueError) as error:
        reason = str(error).strip().splitlines()
        raise EdgeError(
            f"{path} is not a valid ONNX model, or it is truncated "
            f"({reason[0] if reason else type(error).__name__}): export or copy it again."
        ) from error
    return model


def save_model(model: onnx.ModelProto, path: Path | str) -> None:
    """Write a model to one file, whole or not at all.

    Raises
    ------
    EdgeError
        If the file cannot be written, or the model exceeds the 2 GB of one ONNX file.
    """
    with replacing(path) as beside:
        try:
            onnx.save(model, beside)
        except ValueError as error:
            raise EdgeError(f"Cannot write {path}: the model exceeds 2 GB.") from error


def metadata(model: onnx.ModelProto) -> dict[str, str]:
    """Return the model's metadata properties."""
    return {entry.key: entry.value for entry in model.metadata_props}


def set_metadata(model: onnx.ModelProto, key: str, value: str) -> None:
    """Set one metadata property, in place."""
    onnx.helper.set_model_props(model, {**metadata(model), key: value})


def head_spec_of(model: onnx.ModelProto) -> HeadSpec:
    """Return the contract that `edge-sdk convert` wrote into the model.

    Raises
    ------
    EdgeError
        If the model has none, or it does not fit the model's inputs and outputs.
    """
    text = metadata(model).get(METADATA_KEY)
    if text is None:
        raise EdgeError(
            "The ONNX model does not say what its outputs mean: "
            "convert it first with `edge-sdk convert MODEL -o model.onnx`."
        )
    spec = HeadSpec.from_json(text)
    inputs = [value.name for value in model.graph.input]
    outputs = {value.name for value in model.graph.output}
    missing = {spec.input_name, *spec.output_names} - outputs - set(inputs)
    if missing:
        raise EdgeError(
            f"The model's head specification names {', '.join(sorted(missing))}, "
            "which the graph does not have: convert the original model again."
        )
    return spec


def set_head_spec(model: onnx.ModelProto, spec: HeadSpec) -> None:
    """Write a contract into the model, in place."""
    set_metadata(model, METADATA_KEY, spec.to_json())


def model_key(model: onnx.ModelProto) -> str:
    """Return the SHA-256 of what the model computes: graph and weights, not its metadata.

    Two models with the same key have the same tensors under the same names.
    """
    digest = hashlib.sha256()
    graph = model.graph
    for part in (*model.opset_import, *graph.input, *graph.output, *graph.node):
        digest.update(part.SerializeToString(deterministic=True))
    for weight in sorted(graph.initializer, key=lambda tensor: tensor.name):
        array = numpy_helper.to_array(weight)
        digest.update(f"{weight.name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
