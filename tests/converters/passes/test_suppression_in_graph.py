"""Suppression inside a network against the runtime's own, on crowded random candidates."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edge_sdk.converters.engines.tensorrt_builder import BuildOptions, build, parse
from edge_sdk.converters.passes.suppression_in_graph import OUTPUTS, suppression_in_graph
from edge_sdk.converters.reference import run_float32
from edge_sdk.errors import EdgeError
from edge_sdk.head_spec import CANDIDATE_OUTPUTS, HeadSpec
from edge_sdk.runtime.letterbox import Placement
from edge_sdk.runtime.postprocess import Postprocessor

SIZE = (128, 128)
COUNT, CLASSES = 80, 3
SPEC = HeadSpec(
    family="test", layout="decoded", class_names=tuple("abc"), input_name="x", input_size=SIZE,
    outputs={"boxes": ("boxes",), "scores": ("scores",)}, strides=(8, 16, 32),
)  # fmt: skip


def candidates(batch: int) -> dict[str, np.ndarray]:
    """Boxes that overlap much, falling scores, all classes."""
    rng = np.random.default_rng(0)
    centre, size = rng.uniform(30, 90, (batch, COUNT, 2)), rng.uniform(10, 40, (batch, COUNT, 2))
    boxes = np.concatenate([centre - size / 2, centre + size / 2], axis=2)
    scores = -np.sort(-rng.uniform(0, 1, (batch, COUNT)), axis=1)
    labels = rng.integers(0, CLASSES, (batch, COUNT))
    values = (boxes.astype(np.float32), scores.astype(np.float32), labels.astype(np.int32))
    return dict(zip(CANDIDATE_OUTPUTS, values, strict=True))


def model_of(given: dict[str, np.ndarray]) -> onnx.ModelProto:
    """A model whose outputs are its inputs, with an open batch."""
    kinds = (TensorProto.FLOAT, TensorProto.FLOAT, TensorProto.INT32)
    ends = {}
    for end in ("", ".in"):
        ends[end] = [
            helper.make_tensor_value_info(f"{name}{end}", kind, ["batch", *value.shape[1:]])
            for (name, value), kind in zip(given.items(), kinds, strict=True)
        ]
    nodes = [helper.make_node("Identity", [f"{name}.in"], [name]) for name in given]
    made = helper.make_graph(nodes, "test", ends[".in"], ends[""])
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)


@pytest.mark.parametrize(
    ("score", "iou", "most"), [(0.25, 0.7, 300), (0.0, 0.3, 300), (0.1, 0.5, 9)]
)
def test_the_same_boxes_stay_as_in_the_runtime(score: float, iou: float, most: int) -> None:
    given = candidates(batch=2)
    model = suppression_in_graph(model_of(given), CLASSES, score, iou, most)
    onnx.checker.check_model(model, full_check=True)
    found = run_float32(model, {f"{name}.in": value for name, value in given.items()})
    assert list(found) == list(OUTPUTS)
    sifting = Postprocessor(
        SPEC, score=score, iou=iou, max_candidates=COUNT, max_detections=most, multi_label=True
    )
    for image in range(2):
        boxes, scores, labels = (given[name][image] for name in CANDIDATE_OUTPUTS)
        raw_boxes, raw_scores = np.zeros((336, 4), np.float32), np.zeros((336, 3), np.float32)
        raw_boxes[:COUNT], raw_scores[np.arange(COUNT), labels] = boxes, scores
        wanted = sifting([raw_boxes, raw_scores], Placement(1.0, 0, 0), SIZE)
        number, *rest = (found[name][image] for name in OUTPUTS)
        assert 0 < len(wanted) < COUNT
        assert number.tolist() == [len(wanted)]
        for one, other in zip(rest, (wanted.boxes, wanted.scores, wanted.class_ids), strict=True):
            assert one.shape[0] == min(most, COUNT)
            np.testing.assert_array_equal(one[: len(wanted)], other)
        assert not rest[1][len(wanted) :].any()
        assert (rest[2][len(wanted) :] == -1).all()


def test_nvidias_parser_reads_it_and_tensorrt_rtx_has_no_kernel_for_it(trt: ModuleType) -> None:
    """Once this fails, --nms need not be refused for tensorrt-rtx any more."""
    model = suppression_in_graph(model_of(candidates(1)), CLASSES, 0.25, 0.7, 300)
    parsed = parse(trt, model.SerializeToString())
    with pytest.raises(EdgeError, match="NonMaxSuppression"):
        build(parsed, BuildOptions(), "sm75")


def test_a_network_without_candidates_is_refused() -> None:
    model = model_of(candidates(1))
    del model.graph.output[1:]
    with pytest.raises(EdgeError, match="best candidates"):
        suppression_in_graph(model, CLASSES, 0.25, 0.7, 300)
