"""One pass through a switchable network, node by node.

A tensor is kept only as long as something still reads it, and rounded once, when a node first
reads its integers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, MutableMapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import onnx
from torch import Tensor

from edge_sdk.converters.lowering.quantization import Quantization
from edge_sdk.converters.torch_operators import Operator

if TYPE_CHECKING:
    from edge_sdk.converters.switchable import SwitchableNetwork


@dataclass(frozen=True)
class Step:
    """One node of the graph, ready to run.

    Attributes
    ----------
    node : of the float graph.
    run : its function.
    inputs : names of the tensors that it takes.
    is_layer : whether it is a weighted layer, with inputs (x, weight, bias).
    """

    node: onnx.NodeProto
    run: Operator
    inputs: tuple[str, ...]
    is_layer: bool


@dataclass(frozen=True)
class Read:
    """How a node reads one of its inputs.

    Attributes
    ----------
    name : of the tensor, or of the one whose integers are read.
    integer : whether it is read on its grid.
    factor : on what is read.
    """

    name: str
    integer: bool = False
    factor: float = 1.0


@dataclass(frozen=True)
class Wiring:
    """What every step reads for one choice of layers."""

    quantization: Quantization
    reads: tuple[tuple[Read, ...], ...]

    def only(self, tensors: Collection[str]) -> Wiring:
        """Return what is read if nothing is rounded but the named activations."""
        reads = tuple(
            tuple(read if read.name in tensors else replace(read, integer=False) for read in step)
            for step in self.reads
        )
        return replace(self, reads=reads)

    def agrees(self, other: Wiring, number: int) -> bool:
        """Tell whether a step reads the same, on the same grids, in both."""
        mine, theirs = self.quantization.activations, other.quantization.activations
        return self.reads[number] == other.reads[number] and not any(
            read.integer and mine.get(read.name) != theirs.get(read.name)
            for read in self.reads[number]
        )


@dataclass(frozen=True)
class Trace:
    """One run over one batch with all its tensors, to be reused."""

    wiring: Wiring
    tensors: Mapping[str, Tensor]


class Run:
    """The state of one pass.

    Parameters
    ----------
    network, wiring : what is run, and how.
    tensors : what is known before, the images among it.
    keep : names of the tensors to keep to the end; None keeps all.

    Attributes
    ----------
    tensors : name -> its values before any rounding of its own. Whoever steps through may
        replace a tensor before it is read.
    """

    def __init__(
        self,
        network: SwitchableNetwork,
        wiring: Wiring,
        tensors: Mapping[str, Tensor],
        keep: Collection[str] | None,
    ) -> None:
        self._network, self._wiring, self._keep = network, wiring, keep
        self.tensors: MutableMapping[str, Tensor] = dict(tensors)
        self._rounded: dict[str, Tensor] = {}
        self._unread = Counter(read.name for reads in wiring.reads for read in reads)

    def step(self, number: int) -> None:
        """Run one node; those before it must have been run or skipped."""
        step = self._network.steps[number]
        reads = self._wiring.reads[number]
        if step.is_layer and reads[1].integer:
            made = step.run(*self._layer_inputs(step, reads))
        else:
            made = step.run(*(self._value(read) for read in reads))
        parts = (made,) if isinstance(made, Tensor) else made
        for name, part in zip(step.node.output, parts, strict=True):
            if self._unread[name] or self._keep is None or name in self._keep:
                self.tensors[name] = part
        self.skip(number)

    def skip(self, number: int) -> None:
        """Pass over a node: what only it was still to read is forgotten."""
        for read in self._wiring.reads[number]:
            self._unread[read.name] -= 1
            if self._unread[read.name] == 0:
                self._rounded.pop(read.name, None)
                if self._keep is not None and read.name not in self._keep:
                    self.tensors.pop(read.name, None)

    def _layer_inputs(self, step: Step, reads: tuple[Read, ...]) -> list[Tensor]:
        """Return x, weight and bias of a layer that runs in INT8."""
        x = self._value(reads[0])
        grid = self._wiring.quantization.activations[reads[0].name]
        weight = self._network.layer_weight(
            step, self._wiring.quantization, np.asarray(grid.scales * reads[0].factor)
        )
        biases = [self._network.layer_bias(read) for read in reads[2:]]
        return [x, weight, *biases]

    def _value(self, read: Read) -> Tensor:
        constant = self._network.constant(read.name)
        if constant is not None:
            return constant
        if not read.integer:
            return self.tensors[read.name]
        if read.name not in self._rounded:
            grid = self._wiring.quantization.activations[read.name]
            self._rounded[read.name] = self._network.on_grid(
                self.tensors[read.name], read.name, grid
            )
        x = self._rounded[read.name]
        return x if read.factor == 1.0 else x * read.factor
