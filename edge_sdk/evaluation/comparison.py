"""Where two graphs, or two engines, begin to differ: every tensor they share, on real images.

Both graphs are made to give out all float tensors that they have in common, through
Polygraphy, and run side by side. An engine cannot fuse across a tensor that it must give out:
what is compared is the arithmetic of the layers, not the speed or the last rounding of the
fused engine.

For each tensor, over all images, with r the first side's values and t the second's,

    SQNR = 10 log10(sum r^2 / sum (r - t)^2) dB.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from edge_sdk.bundle import Bundle
from edge_sdk.converters.model_file import head_spec_of, load_model
from edge_sdk.errors import EdgeError, MissingExtra
from edge_sdk.evaluation.runners import runner
from edge_sdk.head_spec import HeadSpec
from edge_sdk.progress import Progress, silent
from edge_sdk.runtime.backends import preferred_target
from edge_sdk.runtime.letterbox import Letterbox


@dataclass(frozen=True)
class Side:
    """One of the two that are compared: a graph, its contract, and the engine that runs it."""

    name: str
    model: onnx.ModelProto
    spec: HeadSpec
    target: str


@dataclass(frozen=True)
class TensorDifference:
    """How a tensor of the second side differs from the first's.

    Attributes
    ----------
    tensor : its name in both graphs.
    layer : the operator that makes it in the first graph.
    sqnr : signal to noise in dB; None where both are equal.
    max_abs : the largest absolute difference.
    max_ref : the largest absolute value of the first side.
    """

    tensor: str
    layer: str
    sqnr: float | None
    max_abs: float
    max_ref: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)


def open_side(text: str) -> Side:
    """Open `PATH` or `PATH@TARGET`, where PATH is a bundle or a .onnx with a head specification.

    Of a bundle, the lowered graph of the target is taken.

    Raises
    ------
    EdgeError
        If the file cannot be used, or the bundle has no engine for the target.
    """
    path, mark, target = text.rpartition("@")
    if not mark or Path(text).exists():
        path, target = text, ""
    if path.endswith(".onnx"):
        model = load_model(path)
        return Side(text, model, head_spec_of(model), target or preferred_target())
    with Bundle.open(path) as bundle:
        target = target or preferred_target(bundle.targets)
        model = load_model(_graph(bundle, target))
        return Side(text, model, bundle.head_spec, target)


def _graph(bundle: Bundle, target: str) -> Path:
    """Return the ONNX file that a bundle's engine was built from, or that is the engine."""
    engine = bundle.engine_file(target)
    lowered = f"engines/{target}/lowered.onnx"
    return bundle.file(lowered) if lowered in bundle.manifest["files"] else engine


def compare(
    first: Side,
    second: Side,
    images: Sequence[npt.NDArray[np.uint8]],
    *,
    threads: int | None = None,
    progress: Progress = silent,
) -> list[TensorDifference]:
    """Compare all tensors that two sides share, in the order of the first graph.

    Parameters
    ----------
    images : BGR uint8 [h, w, 3]; the first side's preprocessing is used for both.
    threads : of each engine.

    Raises
    ------
    EdgeError
        If the inputs differ, or no tensor is shared.
    MissingExtra
        If Polygraphy is not installed.
    """
    shared = _shared(first, second)
    sums = {name: _Sums() for name in shared}
    with ExitStack() as stack:
        left, right = (
            stack.enter_context(runner(_with_outputs(side.model, shared), side.target, threads))
            for side in (first, second)
        )
        for index, image in enumerate(images):
            reference = left.infer({first.spec.input_name: _batch(first, image)})
            tested = right.infer({second.spec.input_name: _batch(second, image)})
            for name in shared:
                sums[name].add(np.asarray(reference[name]), np.asarray(tested[name]), name)
            progress(index + 1, len(images), "comparing")
    layers = {name: node.op_type for node in first.model.graph.node for name in node.output}
    return [sums[name].difference(name, layers[name]) for name in shared]


class _Sums:
    """What is kept of one tensor over all images."""

    def __init__(self) -> None:
        self.signal = self.noise = self.max_abs = self.max_ref = 0.0

    def add(self, reference: npt.NDArray[Any], tested: npt.NDArray[Any], name: str) -> None:
        if reference.shape != tested.shape:
            raise EdgeError(
                f"The tensor {name!r} has the shape {list(reference.shape)} on one side and "
                f"{list(tested.shape)} on the other: these are different models."
            )
        if not reference.size:
            return
        r, t = reference.astype(np.float64), tested.astype(np.float64)
        self.signal += float(np.square(r).sum())
        self.noise += float(np.square(r - t).sum())
        self.max_abs = max(self.max_abs, float(np.abs(r - t).max()))
        self.max_ref = max(self.max_ref, float(np.abs(r).max()))

    def difference(self, tensor: str, layer: str) -> TensorDifference:
        sqnr = None
        if self.noise:
            sqnr = 10 * math.log10(max(self.signal, 1e-300) / self.noise)
        return TensorDifference(tensor, layer, sqnr, self.max_abs, self.max_ref)


def _shared(first: Side, second: Side) -> list[str]:
    """Return the float tensors that both graphs compute, in the order of the first."""
    if first.spec.input_size != second.spec.input_size:
        raise EdgeError(
            f"{first.name} takes {first.spec.input_size} and {second.name} takes "
            f"{second.spec.input_size} pixels: compare models of one input size."
        )
    other = set(_float_tensors(second.model))
    shared = [name for name in _float_tensors(first.model) if name in other]
    if not shared:
        raise EdgeError(
            f"{first.name} and {second.name} share no tensor: they are not of the same model."
        )
    return shared


def _float_tensors(model: onnx.ModelProto) -> list[str]:
    graph = onnx.shape_inference.infer_shapes(model).graph
    floats = {
        value.name
        for value in [*graph.value_info, *graph.output]
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    }
    return [name for node in graph.node for name in node.output if name in floats]


def _with_outputs(model: onnx.ModelProto, names: list[str]) -> onnx.ModelProto:
    try:
        from polygraphy.backend.onnx import modify_outputs
    except ImportError as error:
        raise MissingExtra("polygraphy", "convert", "Comparing layers") from error
    marked: onnx.ModelProto = modify_outputs(model, outputs=names, copy=True)
    return marked


def _batch(side: Side, image: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """Return the image as the graph's input [1, 3, H, W]."""
    kind = side.model.graph.input[0].type.tensor_type.elem_type
    batch = np.empty((1, 3, *side.spec.input_size), onnx.helper.tensor_dtype_to_np_dtype(kind))
    Letterbox(side.spec.preprocessing, side.spec.input_size)(image, batch[0])
    return batch
