"""The tail against the runtime's own decoder, on random outputs of every layout."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edge_sdk.converters.passes.best_candidates import best_candidates
from edge_sdk.converters.reference import run_float32
from edge_sdk.errors import EdgeError
from edge_sdk.head_spec import CANDIDATE_OUTPUTS, ROLES, HeadSpec, Layout
from edge_sdk.runtime.letterbox import Placement
from edge_sdk.runtime.postprocess import Postprocessor

SIZE = (64, 96)
CLASSES = 5
ANCHORS = 126


def spec_of(layout: Layout) -> HeadSpec:
    roles = ROLES[layout]
    per_stride = layout == "dfl"
    return HeadSpec(
        family="test",
        layout=layout,
        class_names=tuple("abcde"),
        input_name="x",
        input_size=SIZE,
        outputs={r: tuple(f"{r}_{s}" for s in (8, 16, 32)) if per_stride else (r,) for r in roles},
        strides=(8, 16, 32),
        reg_max=16,
    )


def outputs_of(spec: HeadSpec, batch: int) -> dict[str, np.ndarray]:
    """Return random raw outputs, most of whose boxes lie inside the picture."""
    rng = np.random.default_rng(0)
    if spec.layout == "dfl":
        return {
            name: rng.normal(size=(batch, channels, SIZE[0] // s, SIZE[1] // s))
            for role, channels in (("classes", CLASSES), ("distances", 68))
            for name, s in zip(spec.outputs[role], spec.strides, strict=True)
        }
    corners = np.sort(rng.uniform(0, 60, (batch, ANCHORS, 2, 2)), axis=2).reshape(batch, -1, 4)
    scores = rng.uniform(size=(batch, ANCHORS, CLASSES))
    if spec.layout == "decoded":
        return {"boxes": corners, "scores": scores}
    if spec.layout == "boxes":
        rows = np.concatenate([corners + 1, scores], axis=2)
        return {"predictions": rows.transpose(0, 2, 1)}
    rows = rng.normal(size=(batch, ANCHORS, 4))
    objects = rng.uniform(size=(batch, ANCHORS, 1))
    return {"predictions": np.concatenate([rows, objects, scores], axis=2)}


def model_of(outputs: dict[str, np.ndarray]) -> onnx.ModelProto:
    """A model whose outputs are its inputs."""
    kind = TensorProto.FLOAT
    shapes = {name: ["batch", *value.shape[1:]] for name, value in outputs.items()}
    nodes = [helper.make_node("Identity", [f"{name}.in"], [name]) for name in outputs]
    inputs = [helper.make_tensor_value_info(f"{n}.in", kind, s) for n, s in shapes.items()]
    made = [helper.make_tensor_value_info(n, kind, s) for n, s in shapes.items()]
    model = helper.make_graph(nodes, "test", inputs, made)
    return helper.make_model(model, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)


@pytest.mark.parametrize("layout", ["dfl", "grid", "boxes", "decoded"])
@pytest.mark.parametrize("count", [20, 300])  # fewer and more than there are anchors
def test_the_best_pairs_leave_decoded(layout: Layout, count: int) -> None:
    spec = spec_of(layout)
    raw = {k: v.astype(np.float32) for k, v in outputs_of(spec, batch=2).items()}
    model = best_candidates(model_of(raw), spec, count)
    onnx.checker.check_model(model, full_check=True)
    found = run_float32(model, {f"{name}.in": value for name, value in raw.items()})
    assert list(found) == list(CANDIDATE_OUTPUTS)
    decoder = Postprocessor(
        spec, score=0.0, iou=1.0, max_candidates=count, max_detections=count, multi_label=True
    )
    for image in range(2):
        boxes, scores, labels = (found[name][image] for name in CANDIDATE_OUTPUTS)
        expected = decoder(
            [raw[name][image] for name in spec.output_names], Placement(1.0, 0, 0), SIZE
        )
        inside = np.clip(boxes, 0, [SIZE[1], SIZE[0]] * 2)
        seen = (inside[:, 2] > inside[:, 0]) & (inside[:, 3] > inside[:, 1])
        np.testing.assert_array_equal(labels[seen], expected.class_ids)
        np.testing.assert_allclose(scores[seen], expected.scores, atol=1e-6)
        np.testing.assert_allclose(inside[seen], expected.boxes, atol=1e-3)


def test_an_image_leaves_less_than_eight_kilobytes() -> None:
    spec = spec_of("dfl")
    model = best_candidates(model_of(outputs_of(spec, 1)), spec, 300)
    sizes = {TensorProto.FLOAT: 4, TensorProto.INT32: 4}
    total = sum(
        sizes[v.type.tensor_type.elem_type]
        * np.prod([d.dim_value for d in v.type.tensor_type.shape.dim[1:]])
        for v in model.graph.output
    )
    assert total <= 8192


@pytest.mark.parametrize("count", [0, 3841])
def test_a_number_that_no_engine_takes_is_refused(count: int) -> None:
    spec = spec_of("boxes")
    with pytest.raises(EdgeError, match=r"must be 1\.\.3840"):
        best_candidates(model_of(outputs_of(spec, 1)), spec, count)
