"""YOLO-NAS against the published facts, and its training forward."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
import torch

from edge_sdk.converters.convert import macs
from edge_sdk.converters.export import export
from edge_sdk.converters.models import yolo_nas
from edge_sdk.converters.models.blocks import ConvBN, RepBlock
from edge_sdk.converters.reparameterize import reparameterize
from edge_sdk.errors import EdgeError

FACTS = {
    # tensors with two placeholders a block, blocks, alphas, trainable, fused, convs, GMACs
    "n": (820 + 2 * 35, 35, 19, 5_767_663, None, 98, 7.95),
    "s": (921, 37, 20, 12_878_304, 12_175_888, 100, 15.90),
    "m": (965, 39, 22, 33_861_346, 31_906_578, 104, 43.88),
    "l": (1097, 45, 28, 44_529_448, 41_999_192, 116, 59.92),
}


@pytest.mark.parametrize("size", FACTS)
def test_agrees_with_the_published_facts(size: str) -> None:
    tensors, blocks, alphas, trainable, fused, convs, gmacs = FACTS[size]
    model = yolo_nas(size)
    modules = list(model.modules())
    found = [module for module in modules if isinstance(module, RepBlock)]
    assert len(found) == blocks
    assert len(model.state_dict()) + 2 * len(found) == tensors
    assert sum(name.endswith("alpha") for name, _ in model.named_parameters()) == alphas
    assert sum(tensor.numel() for tensor in model.parameters()) == trainable
    # the published count keeps BN behind plain convolutions: a scale and a shift, not a bias
    plain = sum(m.bn.num_features for name, m in model.named_modules()
                if isinstance(m, ConvBN) and "branch" not in name)  # fmt: skip
    deployed = reparameterize(model)
    if fused is not None:
        assert sum(tensor.numel() for tensor in deployed.parameters()) + plain == fused
    graph = export(deployed)
    assert sum(node.op_type in ("Conv", "ConvTranspose") for node in graph.graph.node) == convs
    assert macs(graph_with_shapes(graph)) / 1e9 == pytest.approx(gmacs, abs=0.006)


def graph_with_shapes(model):
    import onnx

    return onnx.shape_inference.infer_shapes(model)


def test_gives_logits_at_the_prior_and_distances(tiny) -> None:
    model = yolo_nas("n", num_classes=5)
    classes, distances = model(torch.rand(2, 3, 64, 96))
    assert [tuple(y.shape) for y in classes] == [(2, 5, 8, 12), (2, 5, 4, 6), (2, 5, 2, 3)]
    assert [tuple(y.shape) for y in distances] == [(2, 68, 8, 12), (2, 68, 4, 6), (2, 68, 2, 3)]
    assert model.num_classes == 5
    assert model.reg_max == 16
    logits = torch.cat([y.flatten() for y in classes])
    assert float(logits.detach().mean()) == pytest.approx(-math.log(99), abs=0.1)


def test_batch_norms_have_the_published_constants() -> None:
    norms = [m for m in yolo_nas("n").modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert {round(norm.eps, 9) for norm in norms} == {1e-3}
    assert {norm.momentum for norm in norms} == {0.03}


@pytest.mark.parametrize("block", ["qarepvgg", "repvgg", "yolov6_qarep", "yolov6_qarep_v2"])
def test_training_forward_is_the_sum_of_the_branches(block: str) -> None:
    from edge_sdk.converters.models.blocks import VARIANTS

    torch.manual_seed(0)
    for stride, identity in ((1, True), (1, False), (2, False)):
        one = RepBlock(6, 6, stride, identity=identity, branches=VARIANTS[block]).train()
        x = torch.randn(2, 6, 8, 8)
        fast = one(x)
        y = one.branch_3x3(x) + one._side(x)
        if identity and one.branches.average:
            y = y + one.branch_average(x)
        slow = torch.relu(one.post_bn(y) if one.branches.post_bn else y)
        torch.testing.assert_close(fast, slow, atol=1e-5, rtol=1e-4)


def test_backward_survives_channels_last() -> None:
    """In a process of its own: torch's strided 1x1 backward corrupts memory there."""
    script = (
        "import torch\n"
        "from edge_sdk.converters.models import yolo_nas\n"
        "for block in ('qarepvgg', 'repvgg'):\n"
        "    model = yolo_nas('n', 2, block).to(memory_format=torch.channels_last)\n"
        "    for _ in range(2):\n"
        "        x = torch.rand(2, 3, 96, 96).contiguous(memory_format=torch.channels_last)\n"
        "        classes, distances = model(x)\n"
        "        sum(y.square().mean() for y in classes + distances).backward()\n"
        "    gradient = model.backbone.stem.conv.branch_3x3.conv.weight.grad\n"
        "    print(bool(gradient.isfinite().all()))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.split() == ["True", "True"], done.stderr


@pytest.mark.parametrize(
    ("arguments", "word"), [(("x",), "'x'"), (("n", 0), "class"), (("n", 1, "vgg"), "'vgg'")]
)
def test_refuses_what_does_not_exist(arguments, word: str) -> None:
    with pytest.raises(EdgeError, match=word):
        yolo_nas(*arguments)
