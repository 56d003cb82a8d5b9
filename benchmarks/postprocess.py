"""Post-processing of 8400 anchors x 80 classes, one thread: ours against numpy and others.

Sparse: 50 anchors pass the threshold. Dense: all 8400 do, and all take part in suppression on
both sides. Boxes and probabilities are decoded already (the layout "decoded"), so that all sides
do the same work; ours is timed on the raw outputs of YOLO-NAS as well.

python benchmarks/postprocess.py
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from measure import conditions, interleaved, report

from edge_sdk.head_spec import HeadSpec, Layout
from edge_sdk.runtime.kernels import instruction_set, set_instruction_set
from edge_sdk.runtime.letterbox import Placement
from edge_sdk.runtime.postprocess import Postprocessor

SIDE, ANCHORS, CLASSES, BINS = 640, 8400, 80, 17
SCORE, IOU, MAX_DETECTIONS = 0.25, 0.7, 300
CANDIDATES = {"sparse": 50, "dense": ANCHORS}
REPETITIONS = {"sparse": 200, "dense": 15}

Floats = npt.NDArray[np.float32]


def boxes_and_scores(candidates: int) -> tuple[Floats, Floats]:
    """Clusters of boxes around objects; `candidates` anchors with one class above SCORE."""
    random = np.random.default_rng(0)
    objects = random.uniform(90, SIDE - 90, (60, 2))
    centres = objects[random.integers(0, 60, ANCHORS)] + random.normal(0, 6, (ANCHORS, 2))
    sides = random.uniform(30, 110, (ANCHORS, 2))
    boxes = np.concatenate([centres - sides / 2, centres + sides / 2], axis=1)
    scores = random.uniform(0, 0.2, (ANCHORS, CLASSES))
    passing = random.permutation(ANCHORS)[:candidates]
    scores[passing, random.integers(0, CLASSES, candidates)] = random.uniform(0.3, 1, candidates)
    return boxes.astype(np.float32), scores.astype(np.float32)


def raw_outputs(scores: Floats) -> list[Floats]:
    """The same scores as logits of three maps, and distances for every anchor."""
    random = np.random.default_rng(1)
    logits = np.log(scores / (1 - scores)).T
    sides = [SIDE // stride for stride in (8, 16, 32)]
    starts = np.cumsum([0] + [side * side for side in sides])
    classes = [
        np.ascontiguousarray(logits[:, start : start + side * side].reshape(CLASSES, side, side))
        for start, side in zip(starts, sides, strict=False)
    ]
    distances = [random.normal(0, 2, (4 * BINS, side, side)) for side in sides]
    return [output.astype(np.float32) for output in (*classes, *distances)]


def by_numpy(boxes: Floats, scores: Floats) -> tuple[Floats, Floats, npt.NDArray[np.intp]]:
    """Best class of each anchor, threshold, greedy suppression within classes."""
    class_ids = scores.argmax(1)
    best = scores[np.arange(len(scores)), class_ids]
    passing = np.flatnonzero(best >= SCORE)
    boxes, best, class_ids = boxes[passing], best[passing], class_ids[passing]
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    order, kept = np.argsort(-best, kind="stable"), []
    while len(order) and len(kept) < MAX_DETECTIONS:
        first, order = order[0], order[1:]
        kept.append(first)
        corner = np.maximum(boxes[first, :2], boxes[order, :2])
        opposite = np.minimum(boxes[first, 2:], boxes[order, 2:])
        common = np.clip(opposite - corner, 0, None).prod(1)
        overlaps = common > IOU * (area[first] + area[order] - common)
        order = order[~(overlaps & (class_ids[order] == class_ids[first]))]
    return boxes[kept], best[kept], class_ids[kept]


def by_opencv(boxes: Floats, scores: Floats) -> Any:
    class_ids = scores.argmax(1)
    best = scores[np.arange(len(scores)), class_ids]
    sized = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    return cv2.dnn.NMSBoxesBatched(sized, best, class_ids, SCORE, IOU)


def onnx_runtime(boxes: Floats, scores: Floats) -> Callable[[], Any]:
    """Return its NonMaxSuppression, and nothing else, on class scores laid out as it wants."""
    helper, kinds = onnx.helper, onnx.TensorProto
    constants = {
        "limit": np.array([MAX_DETECTIONS], np.int64),
        "iou": np.array([IOU], np.float32),
        "score": np.array([SCORE], np.float32),
    }
    graph = helper.make_graph(
        [helper.make_node("NonMaxSuppression", ["boxes", "scores", *constants], ["selected"])],
        "nms",
        [
            helper.make_tensor_value_info("boxes", kinds.FLOAT, [1, ANCHORS, 4]),
            helper.make_tensor_value_info("scores", kinds.FLOAT, [1, CLASSES, ANCHORS]),
        ],
        [helper.make_tensor_value_info("selected", kinds.INT64, ["n", 3])],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, ["CPUExecutionProvider"]
    )
    feeds = {"boxes": boxes[None], "scores": np.ascontiguousarray(scores.T)[None]}
    return lambda: session.run(None, feeds)


def head(layout: Layout, outputs: dict[str, tuple[str, ...]]) -> HeadSpec:
    names = tuple(f"class {i}" for i in range(CLASSES))
    return HeadSpec("any", layout, names, "images", (SIDE, SIDE), outputs)


DECODED = head("decoded", {"boxes": ("boxes",), "scores": ("scores",)})
DFL = head("dfl", {"classes": ("c8", "c16", "c32"), "distances": ("d8", "d16", "d32")})


def measure(kind: str) -> list[dict[str, Any]]:
    boxes, scores = boxes_and_scores(CANDIDATES[kind])
    outputs = raw_outputs(scores)
    whole = Placement(1.0, 0, 0), (SIDE, SIDE)

    def ours(spec: HeadSpec, arrays: list[Floats], **options: Any) -> Callable[[], Any]:
        post = Postprocessor(spec, score=SCORE, iou=IOU, max_detections=MAX_DETECTIONS, **options)
        return lambda: post(arrays, *whole)

    one_label = ours(DECODED, [boxes, scores], multi_label=False, max_candidates=ANCHORS)
    expected, found = by_numpy(boxes, scores), one_label()
    assert np.allclose(found.boxes, expected[0], atol=1e-3)
    assert np.array_equal(found.class_ids, expected[2])
    timings = interleaved(
        {
            "numpy": lambda: by_numpy(boxes, scores),
            "OpenCV NMSBoxesBatched": lambda: by_opencv(boxes, scores),
            "ONNX Runtime NonMaxSuppression": onnx_runtime(boxes, scores),
            "ours, one label": one_label,
            "ours, several labels": ours(DECODED, [boxes, scores], max_candidates=ANCHORS),
            "ours, several labels, top 1000": ours(DECODED, [boxes, scores]),
            "ours, raw DFL, top 1000": ours(DFL, outputs),
            "ours, raw DFL": ours(DFL, outputs, max_candidates=ANCHORS),
        },
        repetitions=REPETITIONS[kind],
    )
    return [
        {
            "input": f"{kind} ({CANDIDATES[kind]})",
            "what": name,
            "ms": round(timing.median, 3),
            "p10": round(timing.p10, 3),
            "p90": round(timing.p90, 3),
            "numpy / this": round(timings["numpy"].median / timing.median, 1),
            "ONNX Runtime / this": round(
                timings["ONNX Runtime NonMaxSuppression"].median / timing.median, 1
            ),
        }
        for name, timing in timings.items()
    ]


def main() -> None:
    cv2.setNumThreads(1)
    set_instruction_set(None)
    rows = [row for kind in CANDIDATES for row in measure(kind)]
    report(
        "postprocess",
        rows,
        {
            **conditions(threads=1),
            "instructions": instruction_set(),
            "anchors x classes": f"{ANCHORS} x {CLASSES}",
            "score": SCORE,
            "iou": IOU,
            "repetitions": REPETITIONS,
        },
    )


if __name__ == "__main__":
    main()
