"""Selection, decoding and suppression against plain numpy."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.errors import EdgeError
from edge_sdk.head_spec import HeadSpec
from edge_sdk.runtime.kernels import instruction_sets, set_instruction_set
from edge_sdk.runtime.letterbox import Placement
from edge_sdk.runtime.postprocess import Postprocessor

CLASSES = 5
OUTPUTS = {
    "dfl": {"classes": ("c8", "c16", "c32"), "distances": ("d8", "d16", "d32")},
    "grid": {"predictions": ("p",)},
    "boxes": {"predictions": ("p",)},
    "decoded": {"boxes": ("b",), "scores": ("s",)},
}
WHOLE = (Placement(1.0, 0, 0), (96, 160))


def head(layout: str, classes: int = CLASSES, size=(96, 160)) -> HeadSpec:
    return HeadSpec(
        family="a family",
        layout=layout,
        class_names=tuple(f"class {i}" for i in range(classes)),
        input_name="image",
        input_size=size,
        outputs=OUTPUTS[layout],
    )


def maps(spec: HeadSpec) -> list[tuple[int, int, int]]:
    return [(spec.input_size[0] // s, spec.input_size[1] // s, s) for s in spec.strides]


def random_outputs(spec: HeadSpec, seed: int, spread: float = 2.0) -> list[np.ndarray]:
    """Raw outputs whose boxes are of the size of objects."""
    random = np.random.default_rng(seed)
    anchors, classes = spec.num_anchors, spec.num_classes

    def probabilities(*shape):
        return 1 / (1 + np.exp(-random.normal(-2, spread, shape)))

    height, width = spec.input_size
    centres = random.uniform(0, 1, (anchors, 2)) * (width, height)
    sides = random.uniform(4, 80, (anchors, 2))
    if spec.layout == "dfl":
        outputs = [random.normal(-2, spread, (classes, h, w)) for h, w, _ in maps(spec)]
        outputs += [random.normal(0, 2, (4 * (spec.reg_max + 1), h, w)) for h, w, _ in maps(spec)]
    elif spec.layout == "grid":
        outputs = [
            np.concatenate(
                [random.normal(0, 1, (anchors, 4)), probabilities(anchors, 1 + classes)], axis=1
            )
        ]
    elif spec.layout == "boxes":
        outputs = [np.concatenate([centres.T, sides.T, probabilities(classes, anchors)])]
    else:
        corners = np.concatenate([centres - sides / 2, centres + sides / 2], axis=1)
        outputs = [corners, probabilities(anchors, classes)]
    return [np.ascontiguousarray(output, np.float32) for output in outputs]


def decoded(spec: HeadSpec, outputs: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Boxes [N, 4] in pixels of the input and scores [N, C], all of them, in float64."""
    arrays = [output.astype(np.float64) for output in outputs]
    if spec.layout == "decoded":
        return arrays[0], arrays[1]
    if spec.layout == "boxes":
        centre, side = arrays[0][:2].T, arrays[0][2:4].T
        return np.concatenate([centre - side / 2, centre + side / 2], axis=1), arrays[0][4:].T
    cells, strides = [], []
    for height, width, stride in maps(spec):
        y, x = np.mgrid[:height, :width]
        cells.append(np.stack([x.ravel(), y.ravel()], axis=1))
        strides.append(np.full((height * width, 1), stride))
    cell, stride = np.concatenate(cells), np.concatenate(strides)
    if spec.layout == "grid":
        rows = arrays[0]
        centre, side = (rows[:, :2] + cell) * stride, np.exp(rows[:, 2:4]) * stride
        boxes = np.concatenate([centre - side / 2, centre + side / 2], axis=1)
        return boxes, rows[:, 4:5] * rows[:, 5:]
    levels = len(spec.strides)
    logits = np.concatenate([a.reshape(len(a), -1) for a in arrays[:levels]], axis=1).T
    bins = np.concatenate([a.reshape(4, spec.reg_max + 1, -1) for a in arrays[levels:]], axis=2)
    weights = np.exp(bins - bins.max(1, keepdims=True))
    mean = (weights * np.arange(spec.reg_max + 1)[:, None]).sum(1) / weights.sum(1)
    boxes = np.concatenate([cell + 0.5 - mean[:2].T, cell + 0.5 + mean[2:].T], axis=1) * stride
    return boxes, 1 / (1 + np.exp(-logits))


def intersection_over_union(a: np.ndarray, b: np.ndarray) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return width * height / (areas - width * height)


def reference(
    spec, outputs, placement, size, *, score=0.25, iou=0.7, class_agnostic=False,
    multi_label=True, max_candidates=1000, max_detections=300,
):  # fmt: skip
    """Return (boxes, scores, class ids), by brute force."""
    boxes, scores = decoded(spec, outputs)
    if not multi_label:
        best = scores.argmax(1)
        scores = np.where(np.arange(scores.shape[1]) == best[:, None], scores, -1)
    anchors, class_ids = np.nonzero(scores >= score)
    order = np.lexsort((class_ids, anchors, -scores[anchors, class_ids]))[:max_candidates]
    limits = np.array([size[1], size[0]] * 2)
    corner = np.array([placement.left, placement.top] * 2)
    kept: list[tuple[np.ndarray, float, int]] = []
    found: list[tuple[np.ndarray, float, int]] = []
    for anchor, class_id in zip(anchors[order], class_ids[order], strict=True):
        box = boxes[anchor]
        inside = np.clip((box - corner) / placement.scale, 0, limits)
        if inside[0] >= inside[2] or inside[1] >= inside[3] or len(kept) == max_detections:
            continue
        rivals = [b for b, _, c in kept if class_agnostic or c == class_id]
        if all(intersection_over_union(box, rival) <= iou for rival in rivals):
            kept.append((box, scores[anchor, class_id], class_id))
            found.append((inside, scores[anchor, class_id], class_id))
    return found


def same(detections, expected) -> bool:
    return (
        len(detections) == len(expected)
        and np.array_equal(detections.class_ids, [c for _, _, c in expected])
        and np.allclose(detections.scores, [s for _, s, _ in expected], atol=2e-6)
        and (not expected or np.allclose(detections.boxes, [b for b, _, _ in expected], atol=2e-3))
    )


@pytest.mark.parametrize("layout", OUTPUTS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"multi_label": False},
        {"class_agnostic": True, "iou": 0.3},
        {"score": 0.01, "iou": 0.65, "max_detections": 40},
        {"score": 0.01, "max_candidates": 7},
        {"score": 0.5, "multi_label": False, "class_agnostic": True},
    ],
    ids=str,
)
def test_agrees_with_plain_numpy(layout, options):
    spec = head(layout)
    placement, size = Placement(0.5, 10, 4), (180, 260)
    post = Postprocessor(spec, **options)
    for seed in range(5):
        outputs = random_outputs(spec, seed)
        expected = reference(spec, outputs, placement, size, **options)
        assert expected
        detections = post(outputs, placement, size)
        assert same(detections, expected)
        assert detections.names == spec.class_names
        assert detections.boxes.dtype == detections.scores.dtype == np.float32
        assert detections.class_ids.dtype == np.int32


@pytest.mark.parametrize("multi_label", [False, True])
def test_more_candidates_than_the_set_holds(multi_label):
    spec = head("decoded", classes=80, size=(256, 256))  # 107,520 scores, all of which pass
    outputs = random_outputs(spec, 0)
    options = {"score": 0.0, "max_candidates": 20, "multi_label": multi_label}
    expected = reference(spec, outputs, Placement(1.0, 0, 0), (256, 256), **options)
    assert same(Postprocessor(spec, **options)(outputs, Placement(1.0, 0, 0), (256, 256)), expected)


@pytest.mark.parametrize("layout", OUTPUTS)
def test_instruction_sets_give_the_same_bits(layout):
    spec = head(layout)
    results = set()
    for name in instruction_sets():
        set_instruction_set(name)
        found = Postprocessor(spec, score=0.05)(random_outputs(spec, 3), *WHOLE)
        results.add((found.boxes.tobytes(), found.scores.tobytes(), found.class_ids.tobytes()))
    set_instruction_set(None)
    assert len(results) == 1


grids = st.integers(0, 12).map(lambda n: n * 8.0)
box = st.tuples(grids, grids, st.integers(1, 5), st.integers(1, 5)).map(
    lambda b: (b[0], b[1], b[0] + 8.0 * b[2], b[1] + 8.0 * b[3])
)
candidate = st.tuples(box, st.lists(st.sampled_from([0.0, 0.3, 0.5, 0.9]), min_size=2, max_size=2))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(candidate, min_size=0, max_size=40),
    st.sampled_from([0.0, 0.3, 0.5, 0.71, 1.0]),
    st.booleans(),
    st.booleans(),
    st.integers(1, 60),
    st.integers(1, 20),
)
def test_suppression_agrees_with_brute_force(
    found, iou, class_agnostic, multi_label, max_candidates, max_detections
):
    """Boxes on a coarse grid and few scores: many ties, exact overlaps."""
    spec = head("decoded", classes=2, size=(64, 64))
    outputs = [np.zeros((84, 4), np.float32), np.zeros((84, 2), np.float32)]
    for i, (corners, scores) in enumerate(found):
        outputs[0][i], outputs[1][i] = corners, scores
    options = {
        "iou": iou, "class_agnostic": class_agnostic, "multi_label": multi_label,
        "max_candidates": max_candidates, "max_detections": max_detections,
    }  # fmt: skip
    expected = reference(spec, outputs, Placement(1.0, 0, 0), (200, 200), **options)
    detections = Postprocessor(spec, **options)(outputs, Placement(1.0, 0, 0), (200, 200))
    assert same(detections, expected)


def only(spec: HeadSpec, anchor: int, values) -> list[np.ndarray]:
    """Outputs of layout decoded with one candidate."""
    outputs = [np.zeros((spec.num_anchors, 4), np.float32),
               np.zeros((spec.num_anchors, spec.num_classes), np.float32)]  # fmt: skip
    outputs[0][anchor], outputs[1][anchor, 1] = values, 0.5
    return outputs


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((10, 10, 30, 40), (10, 10, 30, 40)),
        ((-10, -20, 30, 400), (0, 0, 30, 96)),
        ((-3e38, -3e38, 3e38, 3e38), (0, 0, 160, 96)),
        ((-math.inf, 0, math.inf, 20), (0, 0, 160, 20)),
        ((math.nan, 10, 30, 40), None),
        ((10, 10, 30, math.nan), None),
        ((30, 10, 10, 40), None),
        ((10, 10, 10, 40), None),
        ((200, 10, 220, 40), None),
        ((10, -40, 30, 0), None),
    ],
)
def test_strange_boxes(values, expected):
    spec = head("decoded")
    detections = Postprocessor(spec)(only(spec, 7, values), *WHOLE)
    assert detections.boxes.tolist() == ([] if expected is None else [list(expected)])


def test_huge_boxes_suppress_each_other():
    spec = head("decoded")
    outputs = only(spec, 7, (-1e30, -1e30, 1e30, 1e30))
    outputs[0][9], outputs[1][9, 1] = (-1e30, -1e30, 1e30, 1e30), 0.4
    assert len(Postprocessor(spec)(outputs, *WHOLE)) == 1


@pytest.mark.parametrize("layout", OUTPUTS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 3e38])
def test_values_that_are_not_finite_do_no_harm(layout, value):
    spec = head(layout)
    random = np.random.default_rng(0)
    for multi_label in (True, False):
        outputs = random_outputs(spec, 1)
        for output in outputs:
            output[random.random(output.shape) < 0.3] = value
        found = Postprocessor(spec, score=0.1, multi_label=multi_label)(outputs, *WHOLE)
        assert np.isfinite(found.boxes).all()
        assert not np.isnan(found.scores).any()
        for output in outputs:
            output[...] = value
        found = Postprocessor(spec, score=0.0, multi_label=multi_label)(outputs, *WHOLE)
        assert np.isfinite(found.boxes).all()


def test_nan_in_the_distances_of_one_side_drops_the_box():
    spec = head("dfl")
    outputs = [np.full_like(output, -9) for output in random_outputs(spec, 0)]
    outputs[0][2, 3, 4] = outputs[0][2, 5, 6] = 3.0
    outputs[3][20, 3, 4] = math.nan
    found = Postprocessor(spec)(outputs, *WHOLE)
    assert len(found) == 1
    assert found.boxes[0].tolist() == [0.0, 0.0, 6.5 * 8 + 64, 96.0]  # the mean of 0..16 is 8 cells


@pytest.mark.parametrize("layout", OUTPUTS)
def test_score_thresholds_at_the_ends(layout):
    spec = head(layout, size=(32, 64))
    outputs = random_outputs(spec, 2)
    assert len(Postprocessor(spec, score=1.0)(outputs, *WHOLE)) == 0
    everything = Postprocessor(
        spec, score=0.0, iou=1.0, max_candidates=10**6, max_detections=10**5
    )(outputs, *WHOLE)
    assert same(everything, reference(
        spec, outputs, *WHOLE, score=0.0, iou=1.0, max_candidates=10**6, max_detections=10**5,
    ))  # fmt: skip


def test_threads_share_a_postprocessor():
    spec = head("dfl")
    post = Postprocessor(spec, score=0.05)
    inputs = [random_outputs(spec, seed) for seed in range(6)]
    expected = [post(outputs, *WHOLE) for outputs in inputs]

    def work(i: int) -> bool:
        found = post(inputs[i % 6], *WHOLE)
        return all(
            np.array_equal(getattr(found, field), getattr(expected[i % 6], field))
            for field in ("boxes", "scores", "class_ids")
        )

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(200)))


def test_outputs_need_not_be_contiguous():
    spec = head("boxes")
    outputs = random_outputs(spec, 0)
    transposed = [np.ascontiguousarray(outputs[0].T).T]
    assert same(Postprocessor(spec)(transposed, *WHOLE), reference(spec, outputs, *WHOLE))


@pytest.mark.parametrize("layout", OUTPUTS)
def test_outputs_of_other_shapes_are_told(layout):
    spec = head(layout)
    post, outputs = Postprocessor(spec), random_outputs(spec, 0)
    with pytest.raises(EdgeError, match="outputs where its head specification names"):
        post(outputs[:-1], *WHOLE)
    outputs[-1] = outputs[-1][1:]
    with pytest.raises(EdgeError, match=f"output '{spec.output_names[-1]}' has the shape"):
        post(outputs, *WHOLE)


@pytest.mark.parametrize(
    "options",
    [
        {"score": -0.1}, {"score": 1.1}, {"score": math.nan}, {"iou": 2}, {"iou": math.nan},
        {"max_candidates": 0}, {"max_detections": 0}, {"max_detections": 10**9},
    ],
    ids=str,
)  # fmt: skip
def test_options_out_of_range_are_told(options):
    with pytest.raises(EdgeError, match=next(iter(options))):
        Postprocessor(head("dfl"), **options)


@pytest.mark.parametrize(
    "changes",
    [
        {"strides": ()},
        {"strides": tuple(range(8, 20))},
        {"strides": (8, 16, 256)},
        {"reg_max": 64},
        {"reg_max": 0},
        {"class_names": ()},
    ],
    ids=str,
)
def test_heads_that_cannot_be_decoded_are_told(changes):
    with pytest.raises(EdgeError):
        Postprocessor(replace(head("dfl"), **changes))
