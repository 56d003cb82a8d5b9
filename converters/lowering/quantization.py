"""What a lowering decides: which nodes read integers, and on which grids.

`insert` (see `qdq`) writes it into a graph; `SwitchableNetwork` executes it. Both read it from
here, so that what is searched and trained is what is shipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import onnx

from edge_sdk.converters.graph_index import GraphIndex
from edge_sdk.converters.quantization_points import (
    INTEGER,
    data_inputs,
    is_weighted_layer,
    rescaling,
)


@dataclass(frozen=True)
class Grid:
    """Integers of one tensor: value = (integer - zero_point) * scale.

    Attributes
    ----------
    scale, zero_point : of the tensor; of its widest channel where they have their own.
    dtype : of the integers.
    channels : scale and zero point of each channel (axis 1) where they have their own.
    """

    scale: float
    zero_point: int
    dtype: type[np.uint8] | type[np.int8]
    channels: tuple[tuple[float, int], ...] = ()

    @property
    def scales(self) -> npt.NDArray[np.float64]:
        """The scale [] of the tensor, or those of its channels [C]."""
        if not self.channels:
            return np.array(self.scale)
        return np.array([scale for scale, _ in self.channels])

    @property
    def zero_points(self) -> npt.NDArray[np.integer]:
        """The zero point [] of the tensor, or those of its channels [C]."""
        if not self.channels:
            return np.array(self.zero_point, self.dtype)
        return np.array([zero_point for _, zero_point in self.channels], self.dtype)


@dataclass(frozen=True)
class WeightGrid:
    """Integers of one weight: int8 from -limit to limit, zero point 0.

    Attributes
    ----------
    axis : of the output channels.
    scales : float32 [channels].
    limit : the largest integer.
    integers : int8 of the weight's shape where rounding was learned, None for the nearest ones.
    """

    axis: int
    scales: npt.NDArray[np.float32]
    limit: int
    integers: npt.NDArray[np.int8] | None = None

    def aligned(self, rank: int) -> npt.NDArray[np.float32]:
        """Return the scales shaped for a weight of that rank."""
        shape = [-1 if axis == self.axis else 1 for axis in range(rank)]
        return self.scales.reshape(shape)

    def quantize(self, weight: npt.NDArray[np.float32]) -> npt.NDArray[np.int8]:
        """Return int8 of the weight's shape."""
        if self.integers is not None:
            return self.integers
        steps = np.rint(weight.astype(np.float64) / self.aligned(weight.ndim))
        return np.clip(steps, -self.limit, self.limit).astype(np.int8)


@dataclass(frozen=True)
class Quantization:
    """Where a graph reads integers and on which grids.

    Attributes
    ----------
    integer : the nodes that read integers, by first output.
    activations : tensor name -> its grid. A tensor gets Q and DQ if a node of `integer` reads it.
    weights : initializer name -> its grid.
    biases : initializer name -> what an integer layer adds in its place.
    """

    integer: frozenset[str]
    activations: Mapping[str, Grid]
    weights: Mapping[str, WeightGrid]
    biases: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)

    def reads_integers(self, node: onnx.NodeProto) -> bool:
        """Tell whether a node works on integers."""
        return node.output[0] in self.integer

    def is_quantized(self, name: str, index: GraphIndex) -> bool:
        """Tell whether a tensor gets Q and DQ."""
        return name in self.activations and any(map(self.reads_integers, index.consumers[name]))

    def source(self, name: str, index: GraphIndex) -> tuple[str, float] | None:
        """Return (quantized tensor, factor) of which a tensor's integers are; None if float."""
        node = index.producers.get(name)
        scaled = rescaling(node, index) if node is not None else None
        if node is not None and scaled is not None and self.reads_integers(node):
            return scaled
        return (name, 1.0) if self.is_quantized(name, index) else None


def integer_nodes(index: GraphIndex, layers: frozenset[str]) -> set[str]:
    """Return the nodes that work on integers, by first output.

    These are the weighted layers in `layers`, and every Add, Concat, pooling, rescaling or
    moving operator whose values reach one of them before they reach another weighted layer.
    """
    reaching: set[str] = set()
    for node in reversed(index.graph.node):
        if is_weighted_layer(node, index):
            if node.name in layers:
                reaching.add(node.output[0])
        elif any(
            reader.output[0] in reaching and name in data_inputs(reader)
            for name in node.output
            for reader in index.consumers[name]
        ):
            reaching.add(node.output[0])
    return {
        node.output[0]
        for node in index.graph.node
        if node.output[0] in reaching and (node.op_type in INTEGER or rescaling(node, index))
    }
