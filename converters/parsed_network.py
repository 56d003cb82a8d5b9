"""A network as NVIDIA's parser read it, as plain values: layers, tensors, and who reads what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any


@dataclass(frozen=True)
class ParsedTensor:
    """A tensor.

    Attributes
    ----------
    name : its name.
    kind : "FLOAT", "HALF", "INT8", "UINT8", "INT32", "INT64", "BOOL", ...
    shape : its dimensions, -1 where they are open.
    """

    name: str
    kind: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class ParsedLayer:
    """A layer.

    Attributes
    ----------
    name : that of the ONNX node it was made of, or one that the parser made up.
    kind : "CONVOLUTION", "DEQUANTIZE", ...
    inputs, outputs : its tensors; inputs that are left out are not listed.
    axis : of the channels that a QUANTIZE or DEQUANTIZE scales, None for other layers.
    operation : of an ELEMENTWISE or POOLING layer ("SUM", "MAX", ...), else "".
    groups : of a CONVOLUTION or DECONVOLUTION, else 1.
    """

    name: str
    kind: str
    inputs: tuple[ParsedTensor, ...]
    outputs: tuple[ParsedTensor, ...]
    axis: int | None = None
    operation: str = ""
    groups: int = 1


@dataclass(frozen=True)
class NetworkView:
    """All layers of a network, in its order."""

    layers: tuple[ParsedLayer, ...]

    @cached_property
    def producers(self) -> dict[str, ParsedLayer]:
        """Tensor name -> the layer that makes it."""
        return {tensor.name: layer for layer in self.layers for tensor in layer.outputs}

    @cached_property
    def consumers(self) -> dict[str, list[ParsedLayer]]:
        """Tensor name -> the layers that read it."""
        readers: dict[str, list[ParsedLayer]] = defaultdict(list)
        for layer in self.layers:
            for tensor in layer.inputs:
                readers[tensor.name].append(layer)
        return readers

    def readers(self, layer: ParsedLayer) -> list[ParsedLayer]:
        """Return the layers that read what a layer makes."""
        return [r for tensor in layer.outputs for r in self.consumers.get(tensor.name, ())]

    def of_kind(self, *kinds: str) -> Iterable[ParsedLayer]:
        """Return the layers of some kinds."""
        return (layer for layer in self.layers if layer.kind in kinds)


def view(trt: ModuleType, network: Any) -> NetworkView:
    """Read a network of TensorRT or TensorRT-RTX."""
    return NetworkView(
        tuple(_layer(trt, network.get_layer(number)) for number in range(network.num_layers))
    )


def _layer(trt: ModuleType, native: Any) -> ParsedLayer:
    name, kind = native.name, native.type.name
    inputs = [native.get_input(number) for number in range(native.num_inputs)]
    outputs = [native.get_output(number) for number in range(native.num_outputs)]
    axis, operation, groups = None, "", 1
    if kind in ("QUANTIZE", "DEQUANTIZE"):
        scaling = _as(trt.IQuantizeLayer if kind == "QUANTIZE" else trt.IDequantizeLayer, native)
        axis = int(scaling.axis)
    elif kind == "ELEMENTWISE":
        elementwise = _as(trt.IElementWiseLayer, native)
        operation = elementwise.op.name
    elif kind == "POOLING":
        pooling = _as(trt.IPoolingLayer, native)
        operation = pooling.type.name
    elif kind in ("CONVOLUTION", "DECONVOLUTION"):
        wide = trt.IConvolutionLayer if kind == "CONVOLUTION" else trt.IDeconvolutionLayer
        convolution = _as(wide, native)
        groups = int(convolution.num_groups)
    return ParsedLayer(
        name,
        kind,
        tuple(map(_tensor, filter(None, inputs))),
        tuple(map(_tensor, outputs)),
        axis,
        operation,
        groups,
    )


def _tensor(tensor: Any) -> ParsedTensor:
    return ParsedTensor(tensor.name, tensor.dtype.name, tuple(tensor.shape))


def _as(kind: Any, native: Any) -> Any:
    """Return a layer as what it is: the library hands out the class that all layers share."""
    native.__class__ = kind
    return native
