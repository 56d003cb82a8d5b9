"""One network whose layers are switched between float and INT8, in torch.

It executes the float ONNX graph and rounds tensors and weights exactly where the lowering of a
target puts Q and DQ, on the same grids, for any choice of layers given at call time. So one
prepared network measures every group of layers, and the same network is trained.

Two runs over one image differ only behind the first node that reads something else. `trace`
keeps all tensors of a run; `rerun` with other layers computes what differs and takes the rest
from there.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from edge_sdk.converters.fake_quantization import fake_quantize
from edge_sdk.converters.graph_index import GraphIndex
from edge_sdk.converters.lowering import form
from edge_sdk.converters.lowering.quantization import Grid, Quantization
from edge_sdk.converters.model_file import head_spec_of, metadata, model_key
from edge_sdk.converters.network_run import Read, Run, Step, Trace, Wiring
from edge_sdk.converters.passes.equalize_channels import equalized
from edge_sdk.converters.quantization_points import is_weighted_layer, rescaling, weighted_layers
from edge_sdk.converters.torch_operators import operator, tensor_inputs
from edge_sdk.converters.weight_scales import BIAS_STEPS, DEAD, weight_scales
from edge_sdk.head_spec import METADATA_KEY
from edge_sdk.quantization_table import QuantizationTable


class SwitchableNetwork(nn.Module):
    """The float graph with fake quantization where a target quantizes.

    The weights and biases of the layers and one log-scale for each entry of the table are
    parameters, without gradients until `requires_grad_(True)`. While weights are trained, the
    scales of their channels follow their maxima, as calibration would set them. Biases that the
    table replaces stay as they are there, and learned rounding until the weights change: train
    with a table that has neither.

    Parameters
    ----------
    model : the float graph, opset 19, with constant weights (of `edge-sdk convert`).
    table : its quantization table.
    target : "openvino" or "onnxruntime".
    seven_bit_weights : for CPUs without VNNI.

    Attributes
    ----------
    input_name : of the images.
    output_names : what a call returns: the outputs of the HeadSpec in its order, or those of
        the graph where it has none.
    steps : the nodes in their order.
    values : the parameters of the layers, by `key_of` their initializer's name.
    log_scales : natural logarithms of the scales of the table's distinct entries.

    Raises
    ------
    EdgeError
        If the target is unknown, the table lacks a tensor, or the graph has an operator that
        cannot be run here.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        table: QuantizationTable,
        target: str,
        *,
        seven_bit_weights: bool = False,
    ) -> None:
        super().__init__()
        model, table = self._model, self._table = equalized(model, table)
        self._form_of, self._seven_bit_weights = form(target), seven_bit_weights
        self.index = GraphIndex(model.graph)
        (self.input_name,) = (
            tensor.name for tensor in model.graph.input if not self.index.is_constant(tensor.name)
        )
        self.output_names = _output_names(model)
        self.steps = [
            Step(
                node,
                operator(node, self.index),
                tuple(tensor_inputs(node)),
                is_weighted_layer(node, self.index),
            )
            for node in model.graph.node
            if node.output[0] in self.index.producers
        ]
        self.values = nn.ParameterDict()
        self._constants: dict[str, str] = {}
        self._collect_constants()
        self._entries = list(dict.fromkeys(table.activations.values()))
        self._entry_of = {
            name: self._entries.index(entry) for name, entry in table.activations.items()
        }
        scales = torch.tensor([entry.scale for entry in self._entries], dtype=torch.float64)
        self.log_scales = nn.Parameter(scales.log().float(), requires_grad=False)
        self._untrained = self._versions()
        self._prepare(table)

    def forward(self, images: Tensor, layers: frozenset[str]) -> list[Tensor]:
        """Return the outputs, in the order of `output_names`.

        Parameters
        ----------
        images : float32 [B, 3, H, W], preprocessed as the HeadSpec says.
        layers : names of the weighted layers that run in INT8.
        """
        run = self.begin(images, layers, self.output_names)
        for number in range(len(self.steps)):
            run.step(number)
        return [run.tensors[name] for name in self.output_names]

    def begin(
        self, images: Tensor, layers: frozenset[str], keep: Iterable[str] | None = None
    ) -> Run:
        """Return a run that has read the images and is to be stepped through.

        Parameters
        ----------
        images, layers : as in a call.
        keep : names of the tensors to keep to the end; None keeps all.
        """
        self._refresh()
        kept = None if keep is None else frozenset(keep)
        return Run(self, self.wiring(layers), {self.input_name: _channels_last(images)}, kept)

    def trace(self, images: Tensor, layers: frozenset[str]) -> Trace:
        """Run and keep every tensor; memory is that of all feature maps together."""
        run = self.begin(images, layers)
        for number in range(len(self.steps)):
            run.step(number)
        return Trace(self.wiring(layers), run.tensors)

    def rerun(
        self, trace: Trace, wiring: Wiring, names: Iterable[str] | None = None
    ) -> dict[str, Tensor]:
        """Return tensors of the trace's batch, wired otherwise.

        Parameters
        ----------
        trace : made since the last change of a parameter.
        wiring : of other layers in INT8, or `rewired`.
        names : of the tensors wanted, before any rounding of their own; None for the outputs.
        """
        wanted = frozenset(self.output_names if names is None else names)
        run = Run(self, wiring, {}, wanted)
        run.tensors = ChainMap({}, dict(trace.tensors))
        changed: set[str] = set()
        for number, step in enumerate(self.steps):
            read = {read.name for read in wiring.reads[number]}
            if read & changed or not wiring.agrees(trace.wiring, number):
                run.step(number)
                changed.update(step.node.output)
            else:
                run.skip(number)
        return {name: run.tensors[name] for name in wanted}

    def rewired(self, layers: frozenset[str], table: QuantizationTable) -> Wiring:
        """Return what every step reads with the grids of another table.

        Weights stay on the grids of the network's own.
        """
        form = self._form_of(self._model, table, seven_bit_weights=self._seven_bit_weights)
        return self._wired(form.quantization(layers))

    def wiring(self, layers: frozenset[str]) -> Wiring:
        """Return what every step reads if the named layers run in INT8."""
        if layers not in self._wirings:
            self._wirings[layers] = self._wired(self._form.quantization(layers))
        return self._wirings[layers]

    def table(self) -> QuantizationTable:
        """Return the table with all scales as they are now; of `float_model`, if trained."""
        table = self._rescaled()
        if self._versions()[0] == self._untrained[0]:
            return table
        model = self.float_model()
        axes = {name: weight.axis for name, weight in table.weights.items()}
        scales = weight_scales(model, axes, table.activations)
        return replace(table, model_key=model_key(model), weights=scales, rounded={})

    def float_model(self) -> onnx.ModelProto:
        """Return a copy of the float graph with the weights and biases as they are now."""
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        for tensor in model.graph.initializer:
            if key_of(tensor.name) in self.values:
                value = self.values[key_of(tensor.name)].detach().cpu().contiguous().numpy()
                tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
        return model

    def constant(self, name: str) -> Tensor | None:
        """Return a weight, a bias or another constant; None for a tensor that is computed."""
        if name not in self._constants:
            return None
        key = self._constants[name]
        value: Tensor = self.values[key] if key in self.values else self.get_buffer(key)
        return value

    def layer_weight(
        self, step: Step, quantization: Quantization, input_steps: npt.NDArray[np.float64]
    ) -> Tensor:
        """Return the weight of a layer on its grid.

        Parameters
        ----------
        step : the layer.
        quantization : its grids.
        input_steps : [] of the layer's input, or [channels], for the floor of the scales.
        """
        name, grid = step.inputs[1], quantization.weights[step.inputs[1]]
        weight = self.values[key_of(name)]
        if torch.is_grad_enabled() and weight.requires_grad:
            scales = self._present_scales(step, weight, grid.axis, grid.limit, input_steps)
            return fake_quantize(weight, scales, 0, -grid.limit, grid.limit)
        if name not in self._weights:
            integers = grid.quantize(weight.detach().cpu().numpy()).astype(np.float32)
            value = torch.from_numpy(integers * grid.aligned(weight.ndim))
            self._weights[name] = _channels_last(value.to(weight.device))
        return self._weights[name]

    def layer_bias(self, read: Read) -> Tensor:
        """Return the bias of a layer that runs in INT8; `read.integer` if the table replaces it."""
        bias: Tensor = self.values[key_of(read.name)]
        if not read.integer:
            return bias
        return torch.from_numpy(self._table.biases[read.name]).to(bias.device)

    def on_grid(self, x: Tensor, name: str, grid: Grid) -> Tensor:
        """Return the values of a tensor on its grid."""
        limits = np.iinfo(grid.dtype)
        if grid.channels:  # as the calibration found them: they are not trained
            shape = (1, -1, *(1 for _ in x.shape[2:]))
            scale, zero_point = (
                torch.from_numpy(values.astype(np.float32)).to(x.device).view(shape)
                for values in (grid.scales, grid.zero_points)
            )
            return fake_quantize(x, scale, zero_point, limits.min, limits.max)
        scale = torch.tensor(grid.scale, dtype=torch.float32, device=x.device)
        if torch.is_grad_enabled() and self.log_scales.requires_grad and name in self._entry_of:
            step = self.log_scales[self._entry_of[name]].exp()
            # A grid over [low, limit] has 255 steps, where the table has 127 up to the limit.
            slope = 127 / 255 if grid.scale < step.item() * (1 - 1e-6) else 1.0
            scale = scale + slope * (step - step.detach())
        return fake_quantize(x, scale, grid.zero_point, limits.min, limits.max)

    def _present_scales(
        self,
        step: Step,
        weight: Tensor,
        axis: int,
        limit: int,
        input_steps: npt.NDArray[np.float64],
    ) -> Tensor:
        """Return the scales of a weight's channels as `weight_scales` would set them now."""
        with torch.no_grad():
            others = [other for other in range(weight.ndim) if other != axis]
            scales = weight.abs().amax(others, keepdim=True) / limit
            for name in step.inputs[2:]:
                bias = self.values[key_of(name)].abs().reshape(-1, scales.numel()).amax(0)
                floor = bias / torch.as_tensor(input_steps * BIAS_STEPS).to(bias)
                scales = torch.maximum(scales, floor.view_as(scales))
            return scales.clamp_min(DEAD * scales.max().item())

    def _collect_constants(self) -> None:
        trained = {name for node in weighted_layers(self.index) for name in node.input[1:3]}
        for name in (name for step in self.steps for name in step.inputs):
            if not self.index.is_constant(name) or name in self._constants:
                continue
            value = _channels_last(torch.from_numpy(self.index.value(name).copy()))
            if name in trained:
                self._constants[name] = key_of(name)
                self.values[key_of(name)] = nn.Parameter(value, requires_grad=False)
            else:
                self._constants[name] = f"constant_{len(self._constants)}"
                self.register_buffer(self._constants[name], value)

    def _prepare(self, table: QuantizationTable) -> None:
        """Take the grids of a table; forget what was made on others."""
        self._form = self._form_of(self._model, table, seven_bit_weights=self._seven_bit_weights)
        self._wirings: dict[frozenset[str], Wiring] = {}
        self._weights: dict[str, Tensor] = {}
        self._prepared = self._versions()

    def _refresh(self) -> None:
        """Take up what was trained since the last run."""
        weights, scales = self._versions()
        if torch.is_grad_enabled() and scales != self._prepared[1]:
            # The grids of the weights are made anew on the way.
            known = self._prepared[0]
            self._prepare(self._rescaled())
            self._prepared = known, scales
        elif not torch.is_grad_enabled() and (weights, scales) != self._prepared:
            self._prepare(self.table())

    def _wired(self, quantization: Quantization) -> Wiring:
        return Wiring(quantization, tuple(self._reads(step, quantization) for step in self.steps))

    def _reads(self, step: Step, quantization: Quantization) -> tuple[Read, ...]:
        node = step.node
        if not quantization.reads_integers(node) or rescaling(node, self.index) is not None:
            return tuple(map(Read, step.inputs))
        if step.is_layer:
            bias = (Read(name, name in quantization.biases) for name in step.inputs[2:])
            return (self._read(step.inputs[0], quantization), Read(step.inputs[1], True), *bias)
        return tuple(self._read(name, quantization) for name in step.inputs)

    def _read(self, name: str, quantization: Quantization) -> Read:
        source = quantization.source(name, self.index)
        return Read(name) if source is None else Read(source[0], True, source[1])

    def _rescaled(self) -> QuantizationTable:
        """Return the table with the trained scales of its tensors."""
        if self.log_scales._version == self._untrained[1]:
            return self._table
        scales = self.log_scales.detach().double().exp().tolist()
        entries = [
            replace(entry, scale=scale) for entry, scale in zip(self._entries, scales, strict=True)
        ]
        activations = {name: entries[number] for name, number in self._entry_of.items()}
        return replace(self._table, activations=activations)

    def _versions(self) -> tuple[int, int]:
        """Return how often weights and scales have been changed."""
        return sum(value._version for value in self.values.values()), self.log_scales._version


def key_of(name: str) -> str:
    """Return a tensor's name as a name of parameters, which may hold no dot."""
    return name.replace(".", "/")


def _output_names(model: onnx.ModelProto) -> tuple[str, ...]:
    if METADATA_KEY in metadata(model):
        return head_spec_of(model).output_names
    return tuple(output.name for output in model.graph.output)


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x
