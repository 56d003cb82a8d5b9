"""From a checkpoint or an ONNX file to the SDK's float ONNX file, with the proof beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from threadpoolctl import threadpool_limits

from edge_sdk.converters.heads import recognize
from edge_sdk.converters.heads.signature import check_input_size
from edge_sdk.converters.model_file import (
    head_spec_of,
    load_model,
    metadata,
    save_model,
    set_head_spec,
    set_metadata,
)
from edge_sdk.converters.passes.cut_head import cut_head
from edge_sdk.converters.passes.fold_alphas import AlphaReport, fold_alphas
from edge_sdk.converters.passes.fuse_branches import Block, fuse_branches
from edge_sdk.converters.passes.open_batch import open_batch
from edge_sdk.converters.prepare import (
    export_graph,
    import_graph,
    input_shape,
    input_size,
    prepare,
    signature_of,
    to_float32,
    with_input,
)
from edge_sdk.converters.proof import (
    METADATA_KEY as PROOF_KEY,
)
from edge_sdk.converters.proof import (
    Comparison,
    Original,
    Proof,
    proof_images,
    run_with,
)
from edge_sdk.errors import EdgeError, MissingExtra
from edge_sdk.files import sha256, write_text
from edge_sdk.head_spec import METADATA_KEY as SPEC_KEY
from edge_sdk.head_spec import HeadSpec
from edge_sdk.outputs import check_output
from edge_sdk.progress import Progress, silent

SOURCE_KEY = "edge_sdk.source"
CHECKPOINTS = (".pth", ".pt", ".safetensors")
PROOF_SIDE = 160
"""Pixels: fusion is local, so a smaller image than the network's proves as much in less time."""
SIZE_FREE = frozenset({
    "Conv", "ConvTranspose", "BatchNormalization", "Relu", "Sigmoid", "Add", "Mul", "Concat",
    "MaxPool", "AveragePool",
})  # fmt: skip
"""Operators that run at any input size."""


@dataclass(frozen=True)
class Conversion:
    """What `convert` did.

    Attributes
    ----------
    output, proof_path : the files written.
    spec : the model's contract.
    blocks : number of blocks that were fused into one convolution each.
    convolutions : in the graph now, transposed ones included.
    alphas : names of the bottleneck factors that were folded and kept.
    parameters_before, parameters_after : weights and biases in the graph.
    gmacs : 10^9 multiply-accumulates of the convolutions for one image.
    proof : errors of blocks and outputs.
    """

    output: Path
    proof_path: Path
    spec: HeadSpec
    blocks: int
    convolutions: int
    alphas: AlphaReport
    parameters_before: int
    parameters_after: int
    gmacs: float
    proof: Proof


@dataclass(frozen=True)
class _Source:
    """A float model with its contract, before fusion; `network` runs a checkpoint in float64."""

    model: onnx.ModelProto
    spec: HeadSpec
    network: Original | None = None


def convert(
    source: Path | str,
    output: Path | str,
    *,
    head: str | None = None,
    names: Sequence[str] | None = None,
    input_size: tuple[int, int] | None = None,
    dynamic_batch: bool = False,
    images: Path | str | None = None,
    progress: Progress = silent,
) -> Conversion:
    """Convert a detector to float ONNX with one convolution a block, and prove it equal.

    Parameters
    ----------
    source : a YOLO-NAS checkpoint (.pth, .pt, .safetensors; size, block and classes are
        recognized) or any detector as .onnx.
    output : the .onnx file to write; the proof goes beside it as NAME.proof.json.
    head : "yolo_nas", "yolox" or "yolov8", if the outputs alone do not tell.
    names : one name a class; by default what the source says, those of COCO for 80 classes, or
        "class 0", ...
    input_size : (height, width), multiples of 32; by default the source's own, else 640 x 640.
    dynamic_batch : leave the batch size open instead of 1.
    images : a folder; the proof looks at up to four images of it, else at drawn scenes.
    progress : told about every image of the proof.

    Raises
    ------
    EdgeError
        If the source is malformed or not recognized, an argument does not fit, or the converted
        network differs by more than 1e-10 in float64 or 1e-5 in float32. Nothing is written.
    """
    source, output = Path(source), Path(output)
    if output.suffix != ".onnx":
        raise EdgeError(f"The output {output} should be a file NAME.onnx.")
    check_output(output, source, images)
    if input_size is not None:
        check_input_size(input_size)
    read = _read_checkpoint if source.suffix in CHECKPOINTS else _read_onnx
    original = read(source, head, names, input_size, dynamic_batch)
    graph = import_graph(original.model)
    blocks = fuse_branches(graph)
    size = _proof_size(original)
    comparison = Comparison(
        with_input(original.model, size),
        proof_images(original.spec, size, images),
        original.spec,
        original.network,
    )
    with threadpool_limits(1, "blas"):  # many small products: threads would wait for each other
        errors, ranges = _compare_blocks(comparison, blocks, progress)
        alphas = fold_alphas(graph, ranges)
        exact = export_graph(graph, original.model)
        model = with_input(to_float32(exact), original.spec.input_size, _batch(dynamic_batch))
        proof = _prove(comparison, errors, exact, with_input(model, size), bool(blocks))
    proof.require()
    _check_outputs(model, original.spec, dynamic_batch)
    set_head_spec(model, original.spec)
    set_metadata(model, PROOF_KEY, proof.to_json())
    set_metadata(model, SOURCE_KEY, json.dumps({"file": source.name, "sha256": sha256(source)}))
    save_model(model, output)
    proof_path = output.with_name(f"{output.stem}.proof.json")
    write_text(proof_path, proof.to_json() + "\n")
    return Conversion(
        output=output,
        proof_path=proof_path,
        spec=original.spec,
        blocks=len(blocks),
        convolutions=sum(n.op_type in ("Conv", "ConvTranspose") for n in model.graph.node),
        alphas=alphas,
        parameters_before=parameters(original.model),
        parameters_after=parameters(model),
        gmacs=macs(model) / 1e9,
        proof=proof,
    )


def parameters(model: onnx.ModelProto) -> int:
    """Return the number of weights that training could change: no running statistics."""
    frozen = {
        name
        for node in model.graph.node
        if node.op_type == "BatchNormalization"
        for name in node.input[3:5]
    }
    return sum(
        int(np.prod(tensor.dims))
        for tensor in model.graph.initializer
        if tensor.name not in frozen and tensor.data_type == onnx.TensorProto.FLOAT
    )


def macs(model: onnx.ModelProto) -> int:
    """Return the multiply-accumulates of all convolutions for one image."""
    values = (*model.graph.value_info, *model.graph.input, *model.graph.output)
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in values}
    weights = {tensor.name: int(np.prod(tensor.dims)) for tensor in model.graph.initializer}
    total = 0
    for node in model.graph.node:
        if node.op_type in ("Conv", "ConvTranspose") and node.input[1] in weights:
            # every weight is used once an output cell, or once an input cell if transposed
            cells = shapes[node.output[0] if node.op_type == "Conv" else node.input[0]]
            total += weights[node.input[1]] * cells[2] * cells[3]
    return total


def _read_checkpoint(
    source: Path,
    head: str | None,
    names: Sequence[str] | None,
    size: tuple[int, int] | None,
    dynamic_batch: bool,
) -> _Source:
    try:
        from edge_sdk.converters.checkpoints import load_checkpoint
        from edge_sdk.converters.export import export
    except ImportError as error:
        raise MissingExtra("torch", "train", f"Reading the checkpoint {source.name}") from error
    if head not in (None, "yolo_nas"):
        raise EdgeError(f"A checkpoint has the head yolo_nas, not {head}.")
    checkpoint = load_checkpoint(source)
    if checkpoint.spec is not None:
        names = names or checkpoint.spec.class_names
        size = size or checkpoint.spec.input_size
    exported = export(checkpoint.model, names, size or (640, 640), dynamic_batch=dynamic_batch)
    spec = head_spec_of(exported)
    if checkpoint.spec is not None:
        spec = replace(spec, preprocessing=checkpoint.spec.preprocessing)
    network = checkpoint.model.double()

    def run(image: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[Any]]:
        import torch

        with torch.inference_mode():
            classes, distances = network(torch.from_numpy(image).double())
        results = [*classes, *distances]
        return dict(zip(spec.output_names, (y.numpy() for y in results), strict=True))

    return _Source(exported, spec, run)


def _read_onnx(
    source: Path,
    head: str | None,
    names: Sequence[str] | None,
    size: tuple[int, int] | None,
    dynamic_batch: bool,
) -> _Source:
    loaded = load_model(source)
    if any(node.op_type == "DequantizeLinear" for node in loaded.graph.node):
        raise EdgeError(f"{source} is quantized already: convert the float model it was made of.")
    model = prepare(loaded)
    if head in (None, "yolo_nas"):
        graph = import_graph(model)
        if cut_head(graph):
            model = export_graph(graph, model)
    if dynamic_batch:
        model = open_batch(model)
    if size is not None or not all(input_shape(model)):
        model = with_input(model, size or input_size(model), _batch(dynamic_batch))
    elif dynamic_batch:
        model = with_input(model, input_size(model), _batch(dynamic_batch))
    signature = signature_of(model)
    if SPEC_KEY in metadata(model):
        names = names or head_spec_of(model).class_names
    spec = recognize(signature, head, names)
    return _Source(model, spec)


def _batch(dynamic: bool) -> int | str:
    return "batch" if dynamic else 1


def _proof_size(source: _Source) -> tuple[int, int]:
    """Return the size to prove at: small if the graph runs at any."""
    height, width = source.spec.input_size
    if {node.op_type for node in source.model.graph.node} <= SIZE_FREE:
        return min(height, PROOF_SIDE), min(width, PROOF_SIDE)
    return height, width


def _compare_blocks(
    comparison: Comparison, blocks: list[Block], progress: Progress
) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """Look at the original in float64 if something was fused, else in float32."""
    if not blocks:
        comparison.reference_float32()
        return {}, {}
    total = len(comparison.images)
    progress(0, total, "proving")
    return comparison.blocks(blocks, lambda done: progress(done, total, "proving"))


def _prove(
    comparison: Comparison,
    blocks: dict[str, dict[str, float]],
    exact: onnx.ModelProto,
    model: onnx.ModelProto,
    changed: bool,
) -> Proof:
    kinds = {"float64": exact, "float32": model} if changed else {"float32": model}
    outputs: dict[str, dict[str, float]] = {}
    for kind, network in kinds.items():
        for name, error in comparison.outputs(run_with(network, kind)).items():
            outputs.setdefault(name, {})[kind] = error
    return Proof(tuple(comparison.images), blocks, outputs)


def _check_outputs(model: onnx.ModelProto, spec: HeadSpec, dynamic_batch: bool) -> None:
    """Refuse a graph whose constants are tied to another input or batch size."""
    batch = 2 if dynamic_batch else 1
    image = np.zeros((batch, 3, *spec.input_size), np.float32)
    outputs = run_with(model, "float32")({spec.input_name: image})
    if any(len(value) != batch for value in outputs.values()):
        raise EdgeError(
            "The model's graph is tied to one image a call: convert it without a dynamic batch, "
            "or export it with one."
        )
