"""The switchable network against ONNX Runtime running what the lowering writes.

Every node is compared on the same input, since one value that falls to the other side of a
rounding step changes all that follows by more than float noise.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from small_graphs import graph, layers_of, node, table_of

from edge_sdk.converters.convert import convert
from edge_sdk.converters.export import export
from edge_sdk.converters.lowering import lowering
from edge_sdk.converters.models import YoloNAS
from edge_sdk.converters.network_run import Run
from edge_sdk.converters.reference import run_float32
from edge_sdk.converters.reparameterize import reparameterize
from edge_sdk.converters.switchable import SwitchableNetwork, key_of
from edge_sdk.errors import EdgeError
from edge_sdk.quantization_table import QuantizationTable

TARGETS = ("openvino", "onnxruntime")


def silu_model() -> onnx.ModelProto:
    """SiLU, depthwise and strided convolutions, a split, a rescaled skip, pooling, upsampling."""
    rng = np.random.default_rng(0)
    weights = {
        "stem": (8, 3, 3, 3), "depth": (8, 1, 3, 3), "point": (8, 8, 1, 1), "up": (4, 4, 2, 2),
        "head": (5, 16, 1, 1),
    }  # fmt: skip
    constants = {f"{name}.w": rng.normal(0, 0.4, shape) for name, shape in weights.items()}
    constants |= {f"{name}.b": rng.normal(0, 0.2, shape[0]) for name, shape in weights.items()}
    nodes = [
        node("Conv", "x stem.w stem.b", "stem", strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Sigmoid", "stem", "stem.s"),
        node("Mul", "stem stem.s", "stem.y"),
        node("Conv", "stem.y depth.w depth.b", "depth", pads=[1, 1, 1, 1], group=8),
        node("Sigmoid", "depth", "depth.s"),
        node("Mul", "depth depth.s", "depth.y"),
        node("Conv", "depth.y point.w point.b", "point"),
        node("Relu", "point", "point.y"),
        node("Mul", "stem.y alpha", "scaled"),
        node("Add", "scaled point.y", "sum"),
        onnx.helper.make_node("Split", ["sum", "sizes"], ["left", "right"], "split", axis=1),
        node("ConvTranspose", "left up.w up.b", "up", strides=[2, 2]),
        node("MaxPool", "right", "pool", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("Resize", "right none scales", "large"),
        node("Resize", "pool none scales", "larger"),
        node("Concat", "up large larger up", "joined", axis=1),
        node("Conv", "joined head.w head.b", "head"),
        node("Reshape", "head shape", "flat"),
        node("Transpose", "flat", "y", perm=[0, 2, 1]),
    ]
    for resize in (nodes[13], nodes[14]):
        resize.attribute.append(onnx.helper.make_attribute("mode", "nearest"))
        resize.input[1] = ""
    settings = {"sizes": np.array([4, 4]), "shape": np.array([1, 5, -1])}
    scales = {"alpha": np.array([0.3]), "scales": np.array([1.0, 1.0, 2.0, 2.0])}
    return graph(nodes, {**constants, **settings, **scales}, ["y"], (1, 3, 16, 24))


def limits(model: onnx.ModelProto, x: np.ndarray) -> dict[str, float]:
    """Nine tenths of every tensor's largest magnitude, so that something is clipped."""
    names = [name for n in model.graph.node for name in n.output]
    exposed = with_outputs(model, names)
    found = run_float32(exposed, {model.graph.input[0].name: x})
    return {name: max(0.9 * float(np.abs(found[name]).max()), 1e-3) for name in names}


def with_outputs(model: onnx.ModelProto, names: list[str]) -> onnx.ModelProto:
    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    del exposed.graph.output[:]
    exposed.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names
    )
    return exposed


def check_every_step(
    model: onnx.ModelProto,
    table: QuantizationTable,
    target: str,
    x: np.ndarray,
    layers: frozenset[str],
    **options: Any,
) -> int:
    """Compare all nodes that both have; return their number."""
    lowered = lowering(target)(model, table, layers, **options)
    network = SwitchableNetwork(model, table, target, **options)
    made = {name for n in lowered.graph.node for name in n.output}
    names = [name for step in network.steps for name in step.node.output if name in made]
    expected = run_float32(with_outputs(lowered, names), {network.input_name: x}, names)
    with torch.no_grad():
        run = network.begin(torch.from_numpy(x), layers)
        for number, step in enumerate(network.steps):
            run.step(number)
            for name in step.node.output:
                if name not in expected:
                    continue  # a scaled tensor whose factor went into a scale
                ours, theirs = run.tensors[name].numpy(), expected[name]
                if f"{name}.rows.q" in made:  # moved as integers before anything reads it
                    grid = network.wiring(layers).quantization.activations[name]
                    ours = network.on_grid(run.tensors[name], name, grid).numpy()
                far = np.abs(ours - theirs) > 1e-4 * np.abs(theirs).max()
                assert far.mean() <= 1e-4, name
                run.tensors[name] = torch.from_numpy(theirs)
    return len(expected)


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return np.random.default_rng(1).uniform(0, 1, (1, 3, 16, 24)).astype(np.float32)


CHOICES = [
    ("stem", "depth", "point", "up", "head"),
    ("stem", "depth", "head"),
    ("point", "head"),
    ("up",),
    (),
]


@pytest.mark.parametrize("layers", CHOICES, ids="-".join)
@pytest.mark.parametrize("target", TARGETS)
def test_every_node_computes_what_the_lowered_file_does(
    target: str, layers: tuple[str, ...], x: np.ndarray
) -> None:
    model = silu_model()
    table = table_of(model, {**limits(model, x), "x": 1.0})
    assert check_every_step(model, table, target, x, frozenset(layers)) >= 17


def test_seven_bit_weights_replaced_biases_and_learned_rounding(x: np.ndarray) -> None:
    model = silu_model()
    table = table_of(model, {**limits(model, x), "x": 1.0})
    rng = np.random.default_rng(2)
    table.biases.update({"point.b": rng.normal(size=8).astype(np.float32)})
    table.biases.update({"up.b": rng.normal(size=4).astype(np.float32)})
    table.rounded.update({"stem.w": rng.integers(-127, 128, (8, 3, 3, 3), np.int8)})
    table.rounded.update({"up.w": rng.integers(-127, 128, (4, 4, 2, 2), np.int8)})
    for target in TARGETS:
        check_every_step(model, table, target, x, layers_of(model))
        check_every_step(model, table, target, x, layers_of(model), seven_bit_weights=True)


@pytest.mark.parametrize("target", TARGETS)
def test_channels_with_ranges_of_their_own(target: str, x: np.ndarray) -> None:
    model = silu_model()
    (scaled,) = (n for n in model.graph.node if n.output[0] == "scaled")
    scaled.input[0] = "point.y"  # only the depthwise convolution reads the stem
    table = table_of(model, {**limits(model, x), "x": 1.0})
    table.channels["stem.y"] = np.geomspace(1e-4, 1e-1, 8).astype(np.float32)
    for layers in (layers_of(model), frozenset({"depth"}), frozenset({"stem", "head"})):
        check_every_step(model, table, target, x, layers)
    network = SwitchableNetwork(model, table, target).requires_grad_(True)
    (y,) = network(torch.from_numpy(x), layers_of(model))
    y.square().sum().backward()  # type: ignore[no-untyped-call]
    gradient = network.values[key_of("stem.w")].grad
    assert gradient is not None
    assert gradient.abs().max() > 0


@pytest.mark.parametrize("target", TARGETS)
def test_a_yolo_nas(target: str, tiny: Callable[..., YoloNAS]) -> None:
    model = export(reparameterize(tiny()), input_size=(64, 64))
    x = np.random.default_rng(0).uniform(0, 1, (1, 3, 64, 64)).astype(np.float32)
    table = table_of(model, {**limits(model, x), "images": 1.0})
    layers = sorted(layers_of(model))
    check_every_step(model, table, target, x, frozenset(layers))
    check_every_step(model, table, target, x, frozenset(layers[::3]))


def test_a_rerun_is_a_run(x: np.ndarray) -> None:
    model = silu_model()
    table = table_of(model, {**limits(model, x), "x": 1.0})
    network = SwitchableNetwork(model, table, "onnxruntime")
    images = torch.from_numpy(x)
    with torch.no_grad():
        for base in CHOICES:
            trace = network.trace(images, frozenset(base))
            for layers in CHOICES:
                again = network.rerun(trace, network.wiring(frozenset(layers)))
                (expected,) = network(images, frozenset(layers))
                assert torch.equal(again["y"], expected)


def test_a_rerun_leaves_alone_what_does_not_change(
    x: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = silu_model()
    network = SwitchableNetwork(model, table_of(model, {}), "openvino")
    layers = layers_of(model)
    trace = network.trace(torch.from_numpy(x), layers)
    ran: list[str] = []
    step = Run.step
    monkeypatch.setattr(
        Run,
        "step",
        lambda self, number: (ran.append(network.steps[number].node.name), step(self, number)),
    )
    network.rerun(trace, network.wiring(layers - {"head"}))
    assert ran == ["pool", "large", "larger", "joined", "head", "flat", "y"]


def test_several_images_at_once(x: np.ndarray) -> None:
    model = silu_model()
    network = SwitchableNetwork(model, table_of(model, {}), "openvino")
    layers = layers_of(model)
    images = torch.cat([torch.from_numpy(x), torch.from_numpy(x).flip(3)])
    with torch.no_grad():
        (both,) = network(images, layers)
        for one, image in zip(both, images, strict=True):
            assert torch.allclose(network(image[None], layers)[0][0], one, atol=1e-5)


def test_everything_can_be_trained(x: np.ndarray) -> None:
    model = silu_model()
    table = table_of(model, {**limits(model, x), "x": 1.0})
    network = SwitchableNetwork(model, table, "openvino")
    layers = layers_of(model)
    images = torch.from_numpy(x)
    with torch.no_grad():
        (float_output,) = network(images, frozenset())
        (before,) = network(images, layers)
    network.requires_grad_(True)
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    (during,) = network(images, layers)
    assert torch.allclose(during, before, atol=1e-6)
    for _ in range(12):
        optimizer.zero_grad()
        loss = (network(images, layers)[0] - float_output).square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        gradients = [parameter.grad for parameter in network.parameters()]
        assert all(gradient is not None and gradient.abs().max() > 0 for gradient in gradients)
        optimizer.step()
    with torch.no_grad():
        (after,) = network(images, layers)
    assert (after - float_output).square().mean() < 0.7 * (before - float_output).square().mean()
    trained = network.float_model()
    again = SwitchableNetwork(trained, network.table(), "openvino")
    with torch.no_grad():
        assert torch.allclose(again(images, layers)[0], after, atol=1e-5)
    name = "stem.w"
    assert torch.equal(again.values[key_of(name)], network.values[key_of(name)])


def test_an_operator_that_cannot_be_run_is_named() -> None:
    model = graph([node("Conv", "x w", "c"), node("Tan", "c", "y")], {"w": np.ones((1, 1, 1, 1))},
                  ["y"])  # fmt: skip
    with pytest.raises(EdgeError, match="'y' is a Tan"):
        SwitchableNetwork(model, table_of(model, {}), "openvino")


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_a_real_network(target: str, shared: Path, tmp_path: Path) -> None:
    convert(shared / "weights" / "yolox_nano.onnx", tmp_path / "model.onnx", head="yolox")
    model = onnx.load(tmp_path / "model.onnx")
    x = np.random.default_rng(0).integers(0, 256, (1, 3, 416, 416)).astype(np.float32)
    table = table_of(model, {**limits(model, x), "images": 255.0})
    assert check_every_step(model, table, target, x, layers_of(model)) > 300
