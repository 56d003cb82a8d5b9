"""From a torch module to ONNX, with the module's own names.

The module is traced with torch.fx down to its leaves, and each leaf becomes one ONNX node that
carries its path: the convolution `backbone.stage1.blocks.conv1` reads
`backbone.stage1.blocks.conv1.weight`. Nothing is folded, so that batch normalization stays
what it is, and the same network always gives the same file. A tensor is named after the node
that gives it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, fx, nn

from edge_sdk.converters.heads import yolo_nas
from edge_sdk.converters.model_file import OPSET, set_head_spec
from edge_sdk.converters.models import YoloNAS
from edge_sdk.converters.reparameterize import FusedConv

IR_VERSION = 9
"""The one that belongs to the opset; older engines refuse newer ones."""


def export(
    model: YoloNAS,
    names: Sequence[str] | None = None,
    input_size: tuple[int, int] = (640, 640),
    *,
    dynamic_batch: bool = False,
) -> onnx.ModelProto:
    """Return a YOLO-NAS as ONNX in evaluation mode, with its contract in the metadata.

    Branches and batch normalizations stay as they are: `edge-sdk convert` fuses them, or
    `reparameterize(model)` does before. Float64 models give float64 graphs.

    Parameters
    ----------
    model : of this package, as trained or reparameterized. Left as it was.
    names : one name a class; by default those of COCO for 80 classes, else "class 0", ...
    input_size : (height, width), multiples of 32.
    dynamic_batch : leave the batch size open instead of 1.

    Raises
    ------
    EdgeError
        If the input size or the number of names does not fit.
    """
    spec = yolo_nas.spec(model.num_classes, input_size, names, reg_max=model.reg_max)
    graph = _Exporter(model).run(spec.input_name, spec.output_names)
    batch: int | str = "batch" if dynamic_batch else 1
    dtype = helper.np_dtype_to_tensor_dtype(next(model.parameters()).detach().cpu().numpy().dtype)
    height, width = input_size
    channels = {"classes": model.num_classes, "distances": 4 * (model.reg_max + 1)}
    outputs = [
        helper.make_tensor_value_info(
            name, dtype, [batch, channels[role], height // stride, width // stride]
        )
        for role, role_names in spec.outputs.items()
        for name, stride in zip(role_names, spec.strides, strict=True)
    ]
    image = helper.make_tensor_value_info(spec.input_name, dtype, [batch, 3, height, width])
    exported = helper.make_model(
        helper.make_graph(graph.nodes, "yolo_nas", [image], outputs, graph.weights),
        producer_name="edge-sdk",
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(exported)
    set_head_spec(exported, spec)
    return exported


class _Tracer(fx.Tracer):
    """Stops at torch's own modules and at fused blocks."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, FusedConv) or super().is_leaf_module(m, module_qualified_name)


class _Exporter:
    """Collects ONNX nodes and weights while it walks a traced module."""

    def __init__(self, model: nn.Module) -> None:
        training = model.training
        try:
            self.trace = _Tracer().trace(model.eval())
        finally:
            model.train(training)
        self.model = model
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.tensors: dict[fx.Node, str] = {}
        self.taken: set[str] = set()

    def run(self, input_name: str, output_names: Sequence[str]) -> _Exporter:
        """Export every node; the flattened results get `output_names`."""
        for node in self.trace.nodes:
            if node.op == "placeholder":
                self.tensors[node] = input_name
            elif node.op == "get_attr":
                self.tensors[node] = self._weight(str(node.target), _get(self.model, node))
            elif node.op == "call_module":
                self._module(node, self.model.get_submodule(str(node.target)))
            elif node.op == "call_function":
                self._function(node)
            else:
                self._rename(_flatten(node.args[0]), output_names)
        return self

    def _module(self, node: fx.Node, module: nn.Module) -> None:
        name = _tidy(str(node.target))
        source = self.tensors[node.all_input_nodes[0]]
        if isinstance(module, FusedConv):
            self.tensors[node] = self._conv(name, source, module)
            if module.relu:
                self.tensors[node] = self._emit("Relu", f"{name}.act", [self.tensors[node]])
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            self.tensors[node] = self._conv(name, source, module)
        elif isinstance(module, nn.BatchNorm2d):
            parts = ("weight", "bias", "running_mean", "running_var")
            inputs = [self._weight(f"{name}.{part}", getattr(module, part)) for part in parts]
            self.tensors[node] = self._emit(
                "BatchNormalization", name, [source, *inputs], epsilon=module.eps
            )
        elif isinstance(module, nn.ReLU):
            self.tensors[node] = self._emit("Relu", name, [source])
        elif isinstance(module, nn.MaxPool2d):
            self.tensors[node] = self._emit("MaxPool", name, [source], **_window(module))
        elif isinstance(module, nn.AvgPool2d):
            self.tensors[node] = self._emit(
                "AveragePool", name, [source], count_include_pad=1, **_window(module)
            )
        else:
            raise NotImplementedError(f"cannot export {type(module).__name__} ({name})")

    def _function(self, node: fx.Node) -> None:
        operations: dict[Callable[..., Any], str] = {
            operator.add: "Add", operator.mul: "Mul", torch.cat: "Concat",
        }  # fmt: skip
        kind = operations[node.target]  # type: ignore[index]
        scope = list(node.meta["nn_module_stack"])[-1]
        attributes = {"axis": node.kwargs["dim"]} if kind == "Concat" else {}
        inputs = [self.tensors[source] for source in _flatten(node.args)]
        name = _tidy(f"{scope}.{kind.lower()}")
        self.tensors[node] = self._emit(kind, name, inputs, **attributes)

    def _conv(self, name: str, source: str, module: Any) -> str:
        inputs = [source, self._weight(f"{name}.weight", module.weight)]
        if module.bias is not None:
            inputs.append(self._weight(f"{name}.bias", module.bias))
        kind = "ConvTranspose" if isinstance(module, nn.ConvTranspose2d) else "Conv"
        return self._emit(
            kind,
            name,
            inputs,
            dilations=module.dilation,
            group=module.groups,
            kernel_shape=module.kernel_size,
            pads=[*module.padding, *module.padding],
            strides=module.stride,
        )

    def _emit(self, kind: str, name: str, inputs: list[str], **attributes: Any) -> str:
        unique, number = name, 1
        while unique in self.taken:
            number += 1
            unique = f"{name}{number}"
        self.taken.add(unique)
        self.nodes.append(helper.make_node(kind, inputs, [unique], unique, **attributes))
        return unique

    def _weight(self, name: str, tensor: Tensor) -> str:
        self.weights.append(numpy_helper.from_array(tensor.detach().cpu().numpy(), name))
        return name

    def _rename(self, results: list[fx.Node], names: Sequence[str]) -> None:
        """Give the tensors of the results their public names."""
        public = dict(zip((self.tensors[node] for node in results), names, strict=True))
        for node in self.nodes:
            for tensors in (node.input, node.output):
                for index, tensor in enumerate(tensors):
                    tensors[index] = public.get(tensor, tensor)


def _get(model: nn.Module, node: fx.Node) -> Tensor:
    tensor: Tensor = operator.attrgetter(str(node.target))(model)
    return tensor


def _flatten(values: Any) -> list[fx.Node]:
    """Return the nodes in nested arguments, in order."""
    if isinstance(values, fx.Node):
        return [values]
    if isinstance(values, list | tuple):
        return [node for value in values for node in _flatten(value)]
    return []


def _window(module: Any) -> dict[str, list[int]]:
    """Return the attributes of a pool over a square."""
    size, stride, pad = module.kernel_size, module.stride, module.padding
    return {"kernel_shape": [size] * 2, "strides": [stride] * 2, "pads": [pad] * 4}


def _tidy(name: str) -> str:
    """Drop the level that only the checkpoints' keys need."""
    return name.replace(".seq", "")
