"""Whole detectors through NVIDIA's parser and compiler, for GPUs that this machine has not.

What is built here has not run anywhere: these tests say that the graphs are accepted and that the
plan is in them, nothing about speed or accuracy on a GPU.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import onnx
import pytest
import torch
from small_graphs import layers_of, table_of

from edge_sdk.converters.convert import convert
from edge_sdk.converters.engines import write_engine
from edge_sdk.converters.engines.tensorrt_builder import parse
from edge_sdk.converters.export import export
from edge_sdk.converters.layer_groups import layer_groups
from edge_sdk.converters.lowering.tensorrt import Skip, lower
from edge_sdk.converters.model_file import load_model
from edge_sdk.converters.models import yolo_nas
from edge_sdk.converters.parsed_network import view
from edge_sdk.converters.plan_linter import FAULTS, lint
from edge_sdk.converters.prepare import with_input
from edge_sdk.converters.reparameterize import reparameterize

CAPABILITIES = ("sm75", "sm86", "sm89")
SAYING = ("sm86", "sm89")
INTEGER_CONVOLUTION = "Converting conv weight scales to fp32"
"""What the compiler of TensorRT-RTX 1.7 says of each integer convolution, for these two."""
FLOAT_EVERY = 7
"""Every seventh group of layers stays float in the hybrid."""
YOLOX = pytest.param("yolox", marks=pytest.mark.shared)


def network(name: str, request: pytest.FixtureRequest, folder: Path) -> onnx.ModelProto:
    """A converted detector with an open batch size; bottleneck factors are kept."""
    if name == "yolox":
        source = request.getfixturevalue("shared") / "weights" / "yolox_nano.onnx"
        return load_model(convert(source, folder / "yolox.onnx", dynamic_batch=True).output)
    torch.manual_seed(0)
    return export(reparameterize(yolo_nas(name).eval()), dynamic_batch=True)


def hybrid_of(model: onnx.ModelProto) -> frozenset[str]:
    groups = layer_groups(model)
    kept = [group for number, group in enumerate(groups, 1) if number % FLOAT_EVERY]
    return frozenset(layer for group in kept for layer in group.layers)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["n", "s", "m", "l", YOLOX])
def test_a_hybrid_builds_for_every_gpu_with_a_fixed_and_an_open_batch(
    trt: ModuleType, request: pytest.FixtureRequest, tmp_path: Path, name: str
) -> None:
    model = network(name, request, tmp_path)
    table, planned = table_of(model, {}), hybrid_of(model)
    size = (416, 416) if name == "yolox" else (640, 640)
    for batch in (1, "batch"):
        lowered = lower(with_input(model, size, batch), table, planned)
        for capability in CAPABILITIES:
            folder = tmp_path / f"{batch}-{capability}"
            folder.mkdir()
            engine = write_engine(f"tensorrt-rtx:{capability}", lowered, folder)
            assert engine.stat().st_size > 1_000_000
            lint_text = (folder / "lint.txt").read_text()
            count = len(planned)
            assert lint_text.startswith(f"{count} of {count} planned INT8 layers")
            assert "fault" not in lint_text
            if capability in SAYING:
                said = (folder / "build.log").read_text().count(INTEGER_CONVOLUTION)
                assert said == count


@pytest.mark.slow
@pytest.mark.parametrize("skip", ["skip", "both"])
@pytest.mark.parametrize("name", ["n", "m"])
def test_all_layers_in_int8_are_parsed_as_planned(
    trt: ModuleType, request: pytest.FixtureRequest, tmp_path: Path, name: str, skip: Skip
) -> None:
    model = network(name, request, tmp_path)
    planned = layers_of(model)
    lowered = lower(model, table_of(model, {}), planned, skip=skip)
    found = lint(view(trt, parse(trt, lowered.SerializeToString()).network), planned, "sm75")
    assert (found.carried_out, found.planned) == (len(planned), len(planned))
    assert not any(found.counts()[rule] for rule in FAULTS)
