"""The whole conversion, from files to files."""

from __future__ import annotations

import json
import warnings
from itertools import chain
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import save_file
from small_graphs import layers_of, table_of
from tiny import write_tiny_model
from torch import nn

from edge_sdk.converters import convert as module
from edge_sdk.converters.convert import convert
from edge_sdk.converters.export import export
from edge_sdk.converters.heads import yolo_nas as head
from edge_sdk.converters.lowering.tensorrt import lower
from edge_sdk.converters.model_file import head_spec_of, load_model, metadata, save_model
from edge_sdk.converters.models import yolo_nas
from edge_sdk.converters.reference import run_float32
from edge_sdk.converters.reparameterize import reparameterize
from edge_sdk.errors import EdgeError


@pytest.fixture
def unfused(tiny, tmp_path: Path) -> Path:
    """An ONNX file with all branches and batch normalizations."""
    path = tmp_path / "unfused.onnx"
    save_model(export(tiny(), ["a", "b", "c"], (64, 96)), path)
    return path


def outputs_of_torch(model: nn.Module, image: np.ndarray) -> list[np.ndarray]:
    with torch.inference_mode():
        return [y.float().numpy() for y in chain(*model(torch.from_numpy(image)))]


def test_an_unfused_onnx_file(tiny, unfused: Path, tmp_path: Path) -> None:
    output = tmp_path / "model.onnx"
    done = convert(unfused, output)
    assert done.blocks == 86
    assert done.convolutions == 94
    assert len(done.alphas.folded) + len(done.alphas.kept) == 17
    assert done.parameters_after < done.parameters_before
    model = load_model(output)
    kinds = {node.op_type for node in model.graph.node}
    assert "BatchNormalization" not in kinds
    assert model.opset_import[0].version == 19
    assert head_spec_of(model).class_names == ("a", "b", "c")
    image = np.random.default_rng(0).uniform(size=(1, 3, 64, 96)).astype(np.float32)
    found = run_float32(model, {"images": image})
    for name, expected in zip(
        head_spec_of(model).output_names, outputs_of_torch(tiny(), image), strict=True
    ):
        np.testing.assert_allclose(found[name], expected, rtol=1e-3, atol=1e-4)


def test_names_of_layers_and_weights(unfused: Path, tmp_path: Path) -> None:
    convert(unfused, tmp_path / "model.onnx")
    graph = load_model(tmp_path / "model.onnx").graph
    names = [node.name for node in graph.node]
    assert len(set(names)) == len(names)
    assert "backbone.stage1.blocks.bottlenecks.0.cv1" in names
    assert "heads.head1.cls_convs.0" in names
    for node in graph.node:
        if node.op_type in ("Conv", "ConvTranspose"):
            assert node.input[1:] == [f"{node.name}.weight", f"{node.name}.bias"]


def test_the_passes_agree_with_torch(tiny, unfused: Path, tmp_path: Path) -> None:
    """The weights of a graph that was fused are those of the module that was, alphas apart."""
    convert(unfused, tmp_path / "model.onnx")
    weights = {
        tensor.name: onnx.numpy_helper.to_array(tensor)
        for tensor in load_model(tmp_path / "model.onnx").graph.initializer
    }
    state = reparameterize(tiny()).state_dict()
    for block in ("backbone.stem.conv", "backbone.stage2.downsample", "heads.head2.cls_pred"):
        for part in ("weight", "bias"):
            name = f"{block}.{part}"
            np.testing.assert_allclose(weights[name], state[name].numpy(), rtol=1e-6, atol=1e-7)


def test_the_proof_covers_every_block_and_output(unfused: Path, tmp_path: Path) -> None:
    output = tmp_path / "model.onnx"
    done = convert(unfused, output)
    proof = json.loads((tmp_path / "model.proof.json").read_text())
    assert json.loads(metadata(load_model(output))["edge_sdk.proof"]) == proof
    assert len(proof["blocks"]) == done.blocks
    assert set(proof["outputs"]) == set(done.spec.output_names)
    assert proof["holds"] is True
    assert proof["images"] == ["random", "scene 0", "scene 1"]
    for errors in (*proof["blocks"].values(), *proof["outputs"].values()):
        assert 0 <= errors["float64"] <= 1e-10
        assert 0 < errors["float32"] <= 1e-5
    source = json.loads(metadata(load_model(output))["edge_sdk.source"])
    assert source["file"] == "unfused.onnx"


def test_a_proof_that_fails_stops_the_conversion(unfused, tmp_path: Path, monkeypatch) -> None:
    real = module.fold_alphas

    def wrong(graph, ranges):
        report = real(graph, ranges)
        conv = next(node for node in graph.nodes if node.name == "neck.neck1.conv")
        conv.inputs[2].values = conv.inputs[2].values + 1e-6
        return report

    monkeypatch.setattr(module, "fold_alphas", wrong)
    with pytest.raises(EdgeError, match=r"differs from the original one: \w+_\d+ by .* float64"):
        convert(unfused, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_a_wrong_block_is_named(unfused, tmp_path: Path, monkeypatch) -> None:
    from dataclasses import replace

    real = module.fuse_branches

    def wrong(graph):
        blocks = real(graph)
        bad = replace(blocks[3], conv=blocks[3].conv.then(1.0, 1e-6))
        return [*blocks[:3], bad, *blocks[4:]]

    monkeypatch.setattr(module, "fuse_branches", wrong)
    with pytest.raises(EdgeError, match=r"backbone\.stage1\.blocks\.conv2"):
        convert(unfused, tmp_path / "model.onnx")


def test_weights_that_are_not_finite_are_refused(tiny, tmp_path: Path) -> None:
    model = tiny()
    with torch.no_grad():
        model.backbone.stem.conv.post_bn.weight[0] = float("nan")
    save_model(export(model, input_size=(64, 64)), tmp_path / "nan.onnx")
    with pytest.raises(EdgeError, match="differs"):
        convert(tmp_path / "nan.onnx", tmp_path / "model.onnx")


def test_a_checkpoint_with_real_images(tmp_path: Path) -> None:
    import cv2

    folder = tmp_path / "images"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for index in range(6):
        cv2.imwrite(str(folder / f"{index}.png"), generator.integers(0, 256, (50, 70, 3), np.uint8))
    (folder / "notes.txt").write_text("no image")
    torch.manual_seed(0)
    torch.save({"net": yolo_nas("n", num_classes=2).state_dict()}, tmp_path / "net.pth")
    steps: list[tuple[int, int, str]] = []
    done = convert(
        tmp_path / "net.pth", tmp_path / "net.onnx", names=["cat", "dog"], input_size=(64, 96),
        images=folder, progress=lambda *step: steps.append(step),
    )  # fmt: skip
    assert (done.blocks, done.convolutions, len(done.alphas.folded)) == (90, 98, 19)
    assert done.proof.images == ("random", "0.png", "1.png", "3.png", "5.png")
    assert steps[-1] == (5, 5, "proving")
    assert done.spec.class_names == ("cat", "dog")
    assert done.spec.input_size == (64, 96)
    (folder / "0.png").unlink()


def test_our_own_checkpoint_keeps_its_contract(tmp_path: Path) -> None:
    spec = head.spec(2, (96, 128), ("cat", "dog"))
    state = yolo_nas("n", num_classes=2, block="repvgg").state_dict()
    save_file(state, tmp_path / "best.safetensors", {"head_spec": spec.to_json()})
    done = convert(tmp_path / "best.safetensors", tmp_path / "best.onnx")
    assert done.spec == spec


def test_a_dynamic_batch(unfused: Path, tmp_path: Path) -> None:
    convert(unfused, tmp_path / "model.onnx", dynamic_batch=True)
    model = load_model(tmp_path / "model.onnx")
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    images = np.random.default_rng(0).uniform(size=(3, 3, 64, 96)).astype(np.float32)
    together = run_float32(model, {"images": images})
    alone = run_float32(model, {"images": images[1:2]})
    for name, value in alone.items():
        np.testing.assert_allclose(together[name][1:2], value, rtol=1e-4, atol=1e-5)


def test_another_input_size(unfused: Path, tmp_path: Path) -> None:
    done = convert(unfused, tmp_path / "model.onnx", input_size=(96, 32))
    assert done.spec.input_size == (96, 32)
    outputs = load_model(tmp_path / "model.onnx").graph.output
    shapes = [[dim.dim_value for dim in o.type.tensor_type.shape.dim] for o in outputs]
    assert shapes[0] == [1, 3, 12, 4]


@pytest.mark.parametrize("size", [(100, 96), (64, 31), (0, 32)])
def test_a_size_that_is_no_multiple_of_32(size, unfused: Path, tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match="multiple of 32"):
        convert(unfused, tmp_path / "model.onnx", input_size=size)


def test_a_fused_file_larger_than_the_proof(tiny, tmp_path: Path) -> None:
    """Its own size is fixed, and the proof is made at a smaller one."""
    source = tmp_path / "fused.onnx"
    save_model(export(reparameterize(tiny()), input_size=(192, 224)), source)
    done = convert(source, tmp_path / "model.onnx")
    assert done.blocks == 0
    assert done.spec.input_size == (192, 224)


def test_converting_twice_changes_nothing(unfused: Path, tmp_path: Path) -> None:
    first = convert(unfused, tmp_path / "one.onnx")
    second = convert(tmp_path / "one.onnx", tmp_path / "two.onnx")
    assert second.blocks == 0
    assert second.spec == first.spec
    assert second.proof.worst("float32") == 0
    one, two = load_model(tmp_path / "one.onnx"), load_model(tmp_path / "two.onnx")
    assert [node.name for node in one.graph.node] == [node.name for node in two.graph.node]


class Decoded(nn.Module):
    """YOLO-NAS as super-gradients exports it: boxes and scores of all anchors."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("proj_conv", torch.arange(17.0).reshape(1, 17, 1, 1))

    def forward(self, x):
        boxes, scores = [], []
        for classes, distances, stride in zip(*self.model(x), (8, 16, 32), strict=True):
            batch, _, height, width = distances.shape
            distances = distances.reshape(batch, 4, 17, height * width).permute(0, 2, 3, 1)
            reach = nn.functional.conv2d(distances.softmax(1), self.proj_conv).squeeze(1)
            y, x0 = torch.meshgrid(
                torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij"
            )
            centres = torch.stack([x0, y], -1).reshape(1, -1, 2)
            corners = [centres - reach[..., :2], centres + reach[..., 2:]]
            boxes.append(torch.cat(corners, -1) * stride)
            flat = classes.reshape(batch, -1, height * width)
            scores.append(flat.permute(0, 2, 1).sigmoid())
        return torch.cat(boxes, 1), torch.cat(scores, 1)


@pytest.mark.filterwarnings("ignore")
def test_a_decoded_export_is_cut_back_to_its_predictions(tiny, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Decoded(tiny()), torch.rand(1, 3, 64, 96), tmp_path / "sg.onnx", dynamo=False,
            opset_version=14, input_names=["image"], output_names=["boxes", "scores"],
        )  # fmt: skip
    done = convert(tmp_path / "sg.onnx", tmp_path / "model.onnx", input_size=(96, 64))
    assert done.spec.layout == "dfl"
    assert done.spec.input_name == "image"
    model = load_model(tmp_path / "model.onnx")
    assert "Softmax" not in {node.op_type for node in model.graph.node}
    image = np.random.default_rng(0).uniform(size=(1, 3, 96, 64)).astype(np.float32)
    found = run_float32(model, {"image": image})
    expected = outputs_of_torch(tiny(), image)
    for name, reference in zip(done.spec.output_names, expected, strict=True):
        np.testing.assert_allclose(found[name], reference, rtol=1e-3, atol=1e-4)


@pytest.mark.shared
def test_yolox_nano_passes_through(shared: Path, tmp_path: Path) -> None:
    source = shared / "weights" / "yolox_nano.onnx"
    done = convert(source, tmp_path / "yolox.onnx")
    assert (done.spec.family, done.spec.layout, done.spec.num_classes) == ("yolox", "grid", 80)
    assert (done.blocks, done.convolutions) == (0, 113)
    assert done.spec.input_size == (416, 416)
    assert done.proof.worst("float32") <= 1e-5
    image = np.random.default_rng(0).uniform(0, 255, (1, 3, 416, 416)).astype(np.float32)
    before = run_float32(onnx.load(source), {"images": image})["output"]
    after = run_float32(load_model(tmp_path / "yolox.onnx"), {"images": image})["output"]
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-5)


def other_model(path: Path, dtype: int = onnx.TensorProto.FLOAT, inputs: int = 1) -> Path:
    """Write a model that is no detector."""
    make = onnx.helper.make_tensor_value_info
    images = [make(f"x{i}", dtype, [1, 3, 64, 64]) for i in range(inputs)]
    nodes = [onnx.helper.make_node("GlobalAveragePool", ["x0"], ["y"])]
    graph = onnx.helper.make_graph(nodes, "other", images, [make("y", dtype, [1, 3, 1, 1])])
    opset = [onnx.helper.make_opsetid("", 19)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    return path


def test_a_quantized_model_is_refused(tmp_path: Path) -> None:
    model = load_model(write_tiny_model(tmp_path / "tiny.onnx"))
    for node in model.graph.node:
        node.name = node.output[0]
    save_model(lower(model, table_of(model, {}), layers_of(model)), tmp_path / "quantized.onnx")
    with pytest.raises(EdgeError, match="is quantized already: convert the float model"):
        convert(tmp_path / "quantized.onnx", tmp_path / "out.onnx")


def test_bad_arguments_are_one_clear_error(unfused: Path, tmp_path: Path) -> None:
    output = tmp_path / "model.onnx"
    other = other_model(tmp_path / "other.onnx")
    half = other_model(tmp_path / "half.onnx", onnx.TensorProto.FLOAT16)
    two = other_model(tmp_path / "two.onnx", inputs=2)
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(unfused.read_bytes()[:5000])
    (tmp_path / "empty").mkdir()
    cases = [
        (unfused, {"names": ["only one"]}, "1 class names .* 3 classes"),
        (unfused, {"head": "yolox"}, "do not fit yolox"),
        (unfused, {"head": "detr"}, "no head 'detr'"),
        (unfused, {"images": tmp_path / "empty"}, "no image in"),
        (unfused, {"images": tmp_path / "none"}, "none does not exist"),
        (other, {}, r"y \[1, 3, 1, 1\]"),
        (half, {}, "float16"),
        (two, {}, r"2 \(x0, x1\)"),
        (cut, {}, r"cut\.onnx"),
        (tmp_path / "none.onnx", {}, r"none\.onnx"),
    ]
    for source, arguments, words in cases:
        with pytest.raises(EdgeError, match=words):
            convert(source, output, **arguments)
        assert not output.exists()
    with pytest.raises(EdgeError, match=r"NAME\.onnx"):
        convert(unfused, tmp_path / "model.bin")
