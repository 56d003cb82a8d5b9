"""Candidates and suppression in CUDA against the C kernels."""

from __future__ import annotations

import emulated_cuda
import numpy as np
import pytest

from edge_sdk.errors import EdgeError
from edge_sdk.head_spec import HeadSpec
from edge_sdk.runtime.cuda.kernels.candidates import CudaCandidates
from edge_sdk.runtime.cuda.kernels.suppression import CudaSuppression
from edge_sdk.runtime.letterbox import Placement
from edge_sdk.runtime.postprocess import Postprocessor, output_shapes, raw_threshold

OUTPUTS = {
    "dfl": {"classes": ("c8", "c16", "c32"), "distances": ("d8", "d16", "d32")},
    "grid": {"predictions": ("p",)},
    "boxes": {"predictions": ("p",)},
    "decoded": {"boxes": ("b",), "scores": ("s",)},
}
LAYOUTS = list(OUTPUTS)
PLACES = [(Placement(0.5, 3, 8), (150, 310)), (Placement(1.0, 0, 0), (96, 160))]


def head(layout, classes=5, size=(96, 160)):
    names = tuple(f"class {i}" for i in range(classes))
    return HeadSpec("a family", layout, names, "image", size, OUTPUTS[layout])


def raw_outputs(spec, seed, *, batch=2, middle=-2.0, levels=None):
    """Outputs of a network that has seen something, in float16; `levels` makes many scores tie."""
    random = np.random.default_rng(seed)

    def scores(shape):
        logits = random.normal(middle, 2, shape)
        if levels:
            logits = np.round(logits * levels) / levels
        return logits if spec.layout == "dfl" else 1 / (1 + np.exp(-logits))

    height, width = spec.input_size
    outputs = []
    for place, shape in enumerate(output_shapes(spec)):
        values = random.normal(0, 2, (batch, *shape))
        if spec.layout == "dfl" and place < len(spec.strides):
            values = scores(values.shape)
        elif spec.layout == "grid":
            values[..., 4:] = scores(values[..., 4:].shape)
        elif spec.layout == "boxes":
            values[:, 4:] = scores(values[:, 4:].shape)
            values[:, 0:2] = random.uniform(0, 160, values[:, 0:2].shape)
            values[:, 2:4] = random.uniform(4, 80, values[:, 2:4].shape)
        elif spec.layout == "decoded" and place == 0:
            corner = random.uniform((0, 0), (width, height), (*values.shape[:2], 2))
            values = np.concatenate([corner, corner + random.uniform(4, 80, corner.shape)], axis=2)
        elif spec.layout == "decoded":
            values = scores(values.shape)
        outputs.append(values.astype(np.float16))
    return outputs


def by_c_kernels(spec, outputs, **options):
    post = Postprocessor(spec, **options)
    return [
        post([output[image].astype(np.float32) for output in outputs], *PLACES[image % 2])
        for image in range(len(outputs[0]))
    ]


def candidates_of(
    machine, spec, outputs, *, score=0.25, max_candidates=1000, multi_label=True, order=0,
    times=1, **_,
):  # fmt: skip
    """Return boxes, scores and labels of the best candidates."""
    batch = len(outputs[0])
    kernel = CudaCandidates(spec, batch, outputs[0].dtype, max_candidates, multi_label)
    machine.order(order, *kernel._modules.values())
    given = [machine.put(output) for output in outputs]
    shapes = (
        ((batch, max_candidates, 4), np.float32),
        *(((batch, max_candidates), kind) for kind in (np.float32, np.int32)),
    )
    results = [machine.put(np.full(shape, 7, kind)) for shape, kind in shapes]
    least = machine.put(np.array([raw_threshold(spec, score)], np.float32))
    for _ in range(times):
        kernel(given, least, *results, 0)
    found = [machine.take(result) for result in results]
    kernel.close()
    return found


def detections_of(
    machine, candidates, *, score=0.0, iou=0.7, class_agnostic=False, max_detections=300,
    multi_label=True, order=0, **_,
):  # fmt: skip
    """Return (boxes, scores, labels) of each image."""
    batch, count = candidates[1].shape
    kernel = CudaSuppression(batch, count, iou, class_agnostic, max_detections, multi_label)
    machine.order(order, kernel._module)
    places = [(p.scale, p.left, p.top, size[1], size[0]) for p, size in PLACES] * batch
    others = (np.array([score], np.float32), np.array(places[:batch], np.float32))
    given = [machine.put(array) for array in (*candidates, *others)]
    results = machine.put(np.full((batch, 4 + 6 * max_detections), -1, np.int32))
    kernel(*given, results, 0)
    found = [_unpacked(words, max_detections) for words in machine.take(results)]
    kernel.close()
    return found


def _unpacked(words, limit):
    """Return boxes, scores and labels; what lies beyond the count must be zeros."""
    count, *unused = words[:4]
    assert not any(unused)
    parts = np.split(words[4:], [4 * limit, 5 * limit])
    assert not any(
        part[count * width :].any() for part, width in zip(parts, (4, 1, 1), strict=True)
    )
    boxes, scores = (part.view(np.float32) for part in parts[:2])
    return boxes.reshape(-1, 4)[:count], scores[:count], parts[2][:count]


def assert_same(found, expected):
    assert len(found) == len(expected)
    for (boxes, scores, labels), detections in zip(found, expected, strict=True):
        assert np.array_equal(boxes, detections.boxes)
        assert np.array_equal(scores, detections.scores)
        assert np.array_equal(labels, detections.class_ids)


def check(machine, spec, outputs, order=0, **options):
    candidates = candidates_of(machine, spec, outputs, order=order, **options)
    found = detections_of(machine, candidates, **{**options, "score": 0.0}, order=order)
    expected = by_c_kernels(spec, outputs, **options)
    assert_same(found, expected)
    return expected


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"multi_label": False, "iou": 0.4},
        {"class_agnostic": True, "iou": 0.3, "order": 1},
        {"score": 0.01, "max_candidates": 64, "max_detections": 20, "order": 5},
        {"iou": 0.0, "max_candidates": 1, "max_detections": 1},
        {"iou": 1.0, "score": 0.6},
    ],
)
def test_detections_have_the_bits_of_the_c_kernels(machine, layout, options):
    spec = head(layout)
    found = check(machine, spec, raw_outputs(spec, 1), **options)
    assert any(map(len, found))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_float32_outputs_too(machine, layout):
    spec = head(layout, classes=33)
    outputs = [output.astype(np.float32) * 0.9999 for output in raw_outputs(spec, 2)]
    assert any(map(len, check(machine, spec, outputs)))
    assert any(map(len, check(machine, spec, outputs, multi_label=False)))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_more_candidates_than_are_sorted_at_once(machine, layout):
    """All of some ten thousand pass; ties are settled by anchor and class."""
    spec = head(layout, classes=40)
    outputs = raw_outputs(spec, 3, middle=2.0, levels=1 if layout == "dfl" else None)
    check(machine, spec, outputs, score=0.0, max_candidates=1000, order=9)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_equal_scores_everywhere(machine, layout):
    """Nothing but places tells candidates apart, so every digit of the selection is used."""
    spec = head(layout, classes=9)
    outputs = raw_outputs(spec, 4, levels=0.01)
    for output in outputs if layout != "decoded" else outputs[1:]:
        if layout in ("dfl", "decoded"):
            output[...] = 0.5
        else:
            scores = output[..., 4:] if layout == "grid" else output[:, 4:]
            scores[...] = 0.5
    check(machine, spec, outputs, score=0.2, max_candidates=100)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_candidates_and_values_that_are_no_numbers(machine, layout):
    spec = head(layout)
    outputs = raw_outputs(spec, 5, middle=-2)
    random = np.random.default_rng(5)
    for output in outputs:
        output[0] = np.where(random.random(output[0].shape) < 0.2, np.nan, output[0])
        output[0] = np.where(random.random(output[0].shape) < 0.05, -np.inf, output[0])
    assert any(map(len, check(machine, spec, outputs)))
    check(machine, spec, outputs, multi_label=False)
    nothing = [np.full_like(output, np.nan) for output in outputs]
    _, scores, labels = candidates_of(machine, spec, nothing)
    assert (scores == -1).all()
    assert (labels == -1).all()
    assert not any(map(len, check(machine, spec, nothing)))
    assert not any(map(len, check(machine, spec, raw_outputs(spec, 6), score=1.0)))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_score_at_the_threshold_passes(machine, layout):
    spec = head(layout)
    outputs = raw_outputs(spec, 11, levels=1)
    if layout == "grid":
        outputs[0][..., 4] = 1
    for multi_label in (True, False):
        found = check(machine, spec, outputs, score=0.5, iou=1.0, multi_label=multi_label)
        assert any((detections.scores == 0.5).any() for detections in found)


def test_sizes_that_vectors_do_not_divide(machine):
    """A map of 3 x 5 cells and 7 classes begins anywhere, not at a multiple of 16 bytes."""
    for layout in LAYOUTS:
        spec = head(layout, classes=7, size=(96, 160))
        check(machine, spec, raw_outputs(spec, 7, batch=3), score=0.1)


def test_the_kernels_may_run_again(machine):
    """The counters are back at nothing after each run."""
    spec = head("dfl")
    outputs = raw_outputs(spec, 8)
    once, twice = (candidates_of(machine, spec, outputs, times=times) for times in (1, 3))
    assert (once[1] > 0).any()
    assert all(np.array_equal(a, b) for a, b in zip(once, twice, strict=True))


def test_whatever_the_order_of_threads(machine):
    spec = head("dfl", classes=40)
    outputs = raw_outputs(spec, 9, levels=4, batch=1)
    results = []
    for order in machine.orders:
        candidates = candidates_of(machine, spec, outputs, score=0.05, order=order)
        results.append(detections_of(machine, candidates, order=order)[0])
    assert len(results[0][0])
    for result in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(result, results[0], strict=True))


def test_suppression_alone_drops_low_scores_and_equal_boxes(machine):
    """Behind a network that chooses its own candidates there is no other threshold."""
    spec = head("decoded")
    candidates = candidates_of(machine, spec, raw_outputs(spec, 10), score=0.0)
    expected = by_c_kernels(spec, raw_outputs(spec, 10), score=0.5)
    assert_same(detections_of(machine, candidates, score=0.5), expected)
    one = by_c_kernels(spec, raw_outputs(spec, 10), score=0.5, multi_label=False)
    assert_same(detections_of(machine, candidates, score=0.5, multi_label=False), one)


def test_refuses_what_does_not_fit_a_block(machine):
    spec = head("dfl")
    for count in (0, 1025):
        with pytest.raises(EdgeError, match=r"1\.\.1024"):
            CudaCandidates(spec, 1, np.float16, count, True)
        with pytest.raises(EdgeError, match=r"1\.\.1024"):
            CudaSuppression(1, 100, 0.7, False, count, True)
    with pytest.raises(EdgeError, match="must be float16 or float32"):
        CudaCandidates(spec, 1, np.int8, 100, True)
    with pytest.raises(EdgeError, match="iou threshold"):
        CudaSuppression(1, 100, 1.7, False, 300, True)


def test_every_kernel_has_a_run(compiled_kernels):
    """What the wrappers launch is what the sources define."""
    used = {path.name.split("-")[0] for path in compiled_kernels.glob("*.so")}
    assert {"scan", "rank", "decode", "suppress"} <= used
    assert {path.stem for path in emulated_cuda.KERNELS.glob("*.cu")} == used | {"letterbox"}
