"""Does the network that NVIDIA's parser read do what the plan says, and what stands in its way?

Faults are what breaks a promise; one is too many:

    plan         a layer of the plan is missing, or does not read integers on both inputs
    unplanned    a layer reads integers that the plan keeps float
    axis         weights are scaled along another axis than their output channels
                 (the parser accepts that, and the numbers are wrong)
    stranded     a Q/DQ pair that no integer layer makes use of: it only rounds and costs time
    float32      a product of matrices in float32 on sm75, which cannot do it

Notes cost time or accuracy, and a threshold for each can be given:

    float_output   an integer layer whose values leave it in float16
    conversion     a cast between floating types or from bytes
    channels       channels that do not fill the tiles of the tensor cores, 32 wide: the rest
                   is computed in vain
    depthwise      an integer depthwise layer: its channels share one range, which can cost
                   nearly all accuracy where their sizes differ
    wide           a convolution in float32
    reformat       a kernel that only rearranges values (known of engines only)

An integer layer is a convolution, transposed or not, whose two inputs come from a
DequantizeLinear. A pair is made use of if an integer layer reads it, directly or over layers
that only move values, or if an Add or Concat reads it whose values are quantized again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from edge_sdk.converters.parsed_network import NetworkView, ParsedLayer, ParsedTensor

FAULTS = ("plan", "unplanned", "axis", "stranded", "float32")
NOTES = ("float_output", "conversion", "channels", "depthwise", "wide", "reformat")
TILE = 32

_WEIGHTED = ("CONVOLUTION", "DECONVOLUTION")
_MOVING = frozenset({
    "SHUFFLE", "SLICE", "RESIZE", "CONCATENATION", "IDENTITY", "SQUEEZE", "UNSQUEEZE", "PADDING",
})  # fmt: skip
_FLOATING = frozenset({"FLOAT", "HALF", "BF16"})


@dataclass(frozen=True)
class Finding:
    """Something about one layer.

    Attributes
    ----------
    rule : of `FAULTS` or `NOTES`.
    layer : its name.
    text : what is the matter.
    """

    rule: str
    layer: str
    text: str


@dataclass(frozen=True)
class Lint:
    """What was found in one network.

    Attributes
    ----------
    planned : how many layers the plan runs in INT8.
    carried_out : how many of them read integers on both inputs.
    findings : faults first.
    """

    planned: int
    carried_out: int
    findings: tuple[Finding, ...]

    def counts(self) -> dict[str, int]:
        """Return rule -> how often it was broken, for every rule."""
        found = Counter(finding.rule for finding in self.findings)
        return {rule: found[rule] for rule in (*FAULTS, *NOTES)}

    def excess(self, limits: Mapping[str, int] | None = None) -> list[str]:
        """Return the rules that are broken more often than they may be.

        Parameters
        ----------
        limits : rule -> how often; by default no fault and any number of notes.
        """
        allowed = {**dict.fromkeys(FAULTS, 0), **(limits or {})}
        return [rule for rule, count in self.counts().items() if count > allowed.get(rule, count)]

    def text(self, most: int = 5) -> str:
        """Return the findings for people, `most` of each rule."""
        lines = [
            f"{self.carried_out} of {self.planned} planned INT8 layers read integers on both inputs"
        ]
        for rule, count in self.counts().items():
            shown = [f for f in self.findings if f.rule == rule][:most]
            if count:
                kind = "fault" if rule in FAULTS else "note"
                lines.append(f"{kind} {rule}: {count}")
                lines += [f"    {finding.layer}: {finding.text}" for finding in shown]
                if count > most:
                    lines.append(f"    ... and {count - most} more")
        return "\n".join(lines) + "\n"


def lint(network: NetworkView, planned: Collection[str], capability: str = "") -> Lint:
    """Look for everything at once.

    Parameters
    ----------
    network : as parsed.
    planned : names of the layers that are to run in INT8.
    capability : what the engine is for ("sm75"), "" if that is open.
    """
    walk = _Walk(network)
    rules: list[Callable[[], Iterator[Finding]]] = [
        lambda: _plan(walk, planned),
        lambda: _unplanned(walk, planned),
        lambda: _axis(walk),
        lambda: _stranded(walk),
        lambda: _float32(network, capability),
        lambda: _float_output(walk),
        lambda: _conversion(network),
        lambda: _channels(walk),
        lambda: _depthwise(walk),
        lambda: _wide(network),
    ]
    findings = tuple(finding for rule in rules for finding in rule())
    missing = {finding.layer for finding in findings if finding.rule == "plan"}
    return Lint(len(planned), len(planned) - len(missing), findings)


class _Walk:
    """Questions about one network."""

    def __init__(self, network: NetworkView) -> None:
        self.network = network
        self.weighted = list(network.of_kind(*_WEIGHTED))
        self.integer = [layer for layer in self.weighted if self.is_integer(layer)]

    def source(self, tensor: ParsedTensor) -> ParsedLayer | None:
        return self.network.producers.get(tensor.name)

    def comes_from(self, tensor: ParsedTensor, kind: str) -> bool:
        layer = self.source(tensor)
        return layer is not None and layer.kind == kind

    def is_integer(self, layer: ParsedLayer) -> bool:
        """Tell whether a layer is a convolution that reads integers on both inputs."""
        return layer.kind in _WEIGHTED and (
            len(layer.inputs) > 1
            and all(self.comes_from(tensor, "DEQUANTIZE") for tensor in layer.inputs[:2])
        )

    def weights(self, layer: ParsedLayer) -> ParsedLayer | None:
        """Return the DequantizeLinear of a layer's weights, if it is one."""
        if len(layer.inputs) < 2:
            return None
        found = self.source(layer.inputs[1])
        return found if found is not None and found.kind == "DEQUANTIZE" else None

    def is_used(self, layer: ParsedLayer) -> bool:
        """Tell whether somebody behind a layer makes use of its integers."""
        return any(self._makes_use(reader) for reader in self.network.readers(layer))

    def _makes_use(self, reader: ParsedLayer) -> bool:
        if reader.kind == "QUANTIZE" or self.is_integer(reader):
            return True
        adds = (reader.kind, reader.operation) == ("ELEMENTWISE", "SUM")
        return (adds or _moves(reader)) and self.is_used(reader)


def _plan(walk: _Walk, planned: Collection[str]) -> Iterator[Finding]:
    layers = {layer.name: layer for layer in walk.weighted}
    for name in sorted(planned):
        layer = layers.get(name)
        if layer is None:
            yield Finding("plan", name, "the network has no such convolution")
        elif not walk.is_integer(layer):
            ends = ("input", "weights")[: len(layer.inputs)]
            floats = [
                end
                for end, tensor in zip(ends, layer.inputs, strict=False)
                if not walk.comes_from(tensor, "DEQUANTIZE")
            ]
            if len(layer.inputs) < 2:
                floats.append("weights")
            yield Finding("plan", name, f"planned INT8, but reads float {' and '.join(floats)}")


def _unplanned(walk: _Walk, planned: Collection[str]) -> Iterator[Finding]:
    for layer in walk.integer:
        if layer.name not in planned:
            yield Finding("unplanned", layer.name, "reads integers, but is float in the plan")


def _axis(walk: _Walk) -> Iterator[Finding]:
    for layer in walk.weighted:
        weights = walk.weights(layer)
        wanted = 0 if layer.kind == "CONVOLUTION" else 1
        if weights is None or weights.axis == wanted:
            continue
        if weights.inputs[1].shape not in ((), (1,)):
            yield Finding(
                "axis", layer.name, f"weights are scaled along axis {weights.axis}, not {wanted}"
            )


def _stranded(walk: _Walk) -> Iterator[Finding]:
    for layer in walk.network.of_kind("QUANTIZE"):
        if not any(map(walk.is_used, walk.network.readers(layer))):
            yield Finding("stranded", layer.name, "no integer layer makes use of this pair")


def _float32(network: NetworkView, capability: str) -> Iterator[Finding]:
    if capability != "sm75":
        return
    for layer in network.of_kind("MATRIX_MULTIPLY", "EINSUM"):
        if layer.inputs[0].kind == "FLOAT":
            yield Finding("float32", layer.name, "a product of matrices in float32: sm75 has none")


def _float_output(walk: _Walk) -> Iterator[Finding]:
    for layer in walk.integer:
        readers = _behind(walk.network, layer)
        if not readers or any(reader.kind != "QUANTIZE" for reader in readers):
            kinds = sorted({r.kind.lower() for r in readers if r.kind != "QUANTIZE"})
            where = f"read by {', '.join(kinds)}" if kinds else "an output of the network"
            yield Finding("float_output", layer.name, f"its values leave it in float16, {where}")


def _behind(network: NetworkView, layer: ParsedLayer) -> list[ParsedLayer]:
    """Return who reads a layer's values once they are activated and moved where they belong."""
    readers = network.readers(layer)
    activation = _activation(network, readers)
    if activation is not None:
        return _behind(network, activation)
    moved = [_behind(network, reader) if _moves(reader) else [reader] for reader in readers]
    return [reader for some in moved for reader in some]


def _moves(layer: ParsedLayer) -> bool:
    """Tell whether a QuantizeLinear behind a layer may as well stand in front of it."""
    return layer.kind in _MOVING or (layer.kind, layer.operation) == ("POOLING", "MAX")


def _activation(network: NetworkView, readers: list[ParsedLayer]) -> ParsedLayer | None:
    """Return the layer that ends what is fused behind a layer: x -> f(x), or x -> x f(x)."""
    if len(readers) == 1 and readers[0].kind in ("ACTIVATION", "SCALE", "UNARY"):
        return readers[0]
    if {reader.kind for reader in readers} == {"ACTIVATION", "ELEMENTWISE"} and len(readers) == 2:
        gate, product = sorted(readers, key=lambda reader: reader.kind)
        if product.operation == "PROD" and network.readers(gate) == [product]:
            return product
    return None


def _conversion(network: NetworkView) -> Iterator[Finding]:
    for layer in network.of_kind("CAST"):
        before, after = layer.inputs[0].kind, layer.outputs[0].kind
        if after in _FLOATING and before in _FLOATING | {"UINT8", "INT8"}:
            yield Finding("conversion", layer.name, f"{before.lower()} to {after.lower()}")


def _channels(walk: _Walk) -> Iterator[Finding]:
    for layer in walk.integer:
        ends = (("input", layer.inputs[0]), ("output", layer.outputs[0]))
        if layer.groups > 1:
            continue
        parts = [
            f"{tensor.shape[1]} {end} channels fill {tensor.shape[1] / _padded(tensor):.0%}"
            for end, tensor in ends
            if tensor.shape[1] > 0 and tensor.shape[1] % TILE
        ]
        if parts:
            yield Finding("channels", layer.name, f"{' and '.join(parts)} of their tiles")


def _padded(tensor: ParsedTensor) -> int:
    return -(-tensor.shape[1] // TILE) * TILE


def _depthwise(walk: _Walk) -> Iterator[Finding]:
    for layer in walk.integer:
        if layer.groups > 1 and layer.groups == layer.outputs[0].shape[1]:
            yield Finding("depthwise", layer.name, f"{layer.groups} channels share one range")


def _wide(network: NetworkView) -> Iterator[Finding]:
    for layer in network.of_kind(*_WEIGHTED):
        if layer.inputs[0].kind == "FLOAT":
            yield Finding("wide", layer.name, "a convolution in float32")
