"""Video file to detections: YOLO-NAS-S INT8 in OpenVINO through our runtime, 2 threads.

Against OpenCV, ONNX Runtime and OpenCV's suppression, written plainly and in float, as one finds
it in tutorials but with the decoding kept sparse. Both graphs end at the prediction convolutions;
the weights are random, the frames are the test camera's, and the score is such that fifty
candidates pass it on the median frame; both sides keep the best 1,000.

    python benchmarks/end_to_end.py
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime
from measure import conditions, interleaved, report
from random_yolo_nas import CAMERA, write

from edge_sdk.calibration import calibrate
from edge_sdk.deployment import build, plan
from edge_sdk.head_spec import HeadSpec
from edge_sdk.runtime import Detector, open_engine, open_source, stream
from edge_sdk.runtime.letterbox import Letterbox
from edge_sdk.suppression import RUNNING

THREADS = 2
FRAMES = 40
REPETITIONS = 3
CANDIDATES = 50
TOP = RUNNING["max_candidates"]
IOU = 0.7
GOAL = 3.6

Array = npt.NDArray[Any]


class Plain:
    """The other side: every step by a call of a well-known library."""

    def __init__(self, model: Path, spec: HeadSpec, score: float) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        self._session = onnxruntime.InferenceSession(
            str(model), options, providers=["CPUExecutionProvider"]
        )
        self._spec, self._score = spec, score
        self._bins = np.arange(spec.reg_max + 1, dtype=np.float32)

    def file(self, video: Path) -> list[int]:
        """Return the number of objects on each frame of a video."""
        capture, found = cv2.VideoCapture(str(video)), []
        while (answer := capture.read())[0]:
            found.append(len(self(answer[1])[1]))
        return found

    def __call__(self, frame: Array) -> tuple[Array, Array]:
        """Return boxes (x, y, width, height) and scores on a frame."""
        return self.detect(*self.letterbox(frame))

    def detect(self, image: Array, scale: float, left: int, top: int) -> tuple[Array, Array]:
        """Return the same for a letterboxed image [1, 3, H, W]."""
        outputs = self._session.run(self._spec.output_names, {self._spec.input_name: image})
        levels = len(self._spec.strides)
        boxes, scores, class_ids = [], [], []
        for logits, distances, stride in zip(
            outputs[:levels], outputs[levels:], self._spec.strides, strict=True
        ):
            found, y, x = np.nonzero(logits[0] > np.log(self._score / (1 - self._score)))
            bins = distances[0, :, y, x].reshape(-1, 4, len(self._bins))
            odds = np.exp(bins - bins.max(2, keepdims=True))
            sides = (odds @ self._bins) / odds.sum(2)
            corner = np.stack([x, y], 1) + 0.5 - sides[:, :2]
            boxes.append(np.hstack([corner, sides[:, :2] + sides[:, 2:]]) * stride)
            scores.append(1 / (1 + np.exp(-logits[0, found, y, x])))
            class_ids.append(found)
        box, score, class_id = map(np.concatenate, (boxes, scores, class_ids))
        # Random weights make some frames dense; uncapped, OpenCV's suppression takes seconds there.
        best = np.argsort(-score, kind="stable")[:TOP]
        box, score, class_id = box[best], score[best], class_id[best]
        keep = cv2.dnn.NMSBoxesBatched(
            box.tolist(), score.tolist(), class_id.tolist(), self._score, IOU
        )
        return (box[keep] - [left, top, 0, 0]) / scale, score[keep]

    def letterbox(self, frame: Array) -> tuple[Array, float, int, int]:
        """Return the network's input and where the frame lies in it."""
        (height, width), wants = self._spec.input_size, self._spec.preprocessing
        inner = height - wants.margin, width - wants.margin
        scale = min(inner[0] / frame.shape[0], inner[1] / frame.shape[1])
        resized = cv2.resize(frame, (round(frame.shape[1] * scale), round(frame.shape[0] * scale)))
        down, right = height - resized.shape[0], width - resized.shape[1]
        top, left = down // 2, right // 2
        padded = cv2.copyMakeBorder(
            resized,
            top,
            down - top,
            left,
            right - left,
            cv2.BORDER_CONSTANT,
            value=(wants.pad_value,) * 3,
        )
        image = cv2.cvtColor(padded, cv2.COLOR_BGR2RGB).transpose(2, 0, 1)[None]
        return np.ascontiguousarray(image, np.float32) / 255, scale, left, top


def write_video(path: Path) -> Path:
    """Write frames of the test camera as 720p MJPEG."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (1280, 720))
    for frame in open_source(f"test://street?frames={FRAMES}"):
        writer.write(frame.image)
    writer.release()
    return path


def score_of_candidates(model: Path, video: Path) -> float:
    """Return the score that `CANDIDATES` pairs of anchor and class pass on the median frame."""
    engine = open_engine(model, "openvino", threads=THREADS)
    spec = engine.spec
    letterbox = Letterbox(spec.preprocessing, spec.input_size)
    image = np.empty((1, 3, *spec.input_size), np.float32)
    cuts = []
    for frame in open_source(video):
        letterbox(frame.image, image[0])
        logits = np.concatenate([o.ravel() for o in engine(image)[: len(spec.strides)]])
        cuts.append(np.partition(logits, -CANDIDATES)[-CANDIDATES])
    engine.close()
    return float(1 / (1 + np.exp(-np.median(cuts))))


def check(plain: Plain, model: Path, score: float, video: Path) -> None:
    """Make sure that both sides compute the same with the same float model.

    Random weights make much of the half steps that OpenCV rounds to, so the input is compared
    first, and then the objects on one and the same input.
    """
    frame = next(iter(open_source(video))).image
    with Detector(model, target="onnxruntime", threads=THREADS, score=score, iou=IOU) as detector:
        ours, spec = detector(frame), detector.spec
    image = np.empty((1, 3, *spec.input_size), np.float32)
    placement = Letterbox(spec.preprocessing, spec.input_size)(frame, image[0])
    theirs, *place = plain.letterbox(frame)
    if place != [placement.scale, placement.left, placement.top] or not np.allclose(
        image, theirs, rtol=0, atol=1.01 / 255
    ):
        raise SystemExit("the two sides letterbox differently")
    _, scores = plain.detect(image, *place)
    if len(ours) != len(scores) or not np.allclose(ours.scores, sorted(scores)[::-1], atol=1e-4):
        raise SystemExit(f"the two sides disagree: {len(ours)} against {len(scores)} objects")


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        model, bundle = write(folder / "model.onnx", "s"), folder / "model.edge"
        video = write_video(folder / "video.avi")
        calibrate(model, CAMERA, folder / "model.calib", limit=16)
        plan(model, folder / "model.calib", "openvino", folder / "plan.yaml")
        build(
            model, folder / "model.calib", folder / "plan.yaml", "openvino", bundle, keep_int8=True
        )
        score = score_of_candidates(model, video)
        with Detector(bundle, threads=THREADS, score=score, iou=IOU) as detector:
            plain = Plain(model, detector.spec, score)
            check(plain, model, score, video)

            def loop() -> None:
                for frame in open_source(video):
                    detector(frame.image)

            sides: dict[str, Callable[[], Any]] = {
                "OpenCV + ONNX Runtime FP32 + OpenCV NMS": lambda: plain.file(video),
                "ours, OpenVINO INT8, a plain loop": loop,
                "ours, OpenVINO INT8, stream": lambda: stream(detector, video),
            }
            timings = interleaved(sides, repetitions=REPETITIONS, warmup=1)
            objects = stream(detector, video).to_dict()["stages_ms"]
    base = next(iter(timings.values())).median
    rows = [
        {
            "what": name,
            "frames_a_second": FRAMES / timing.median * 1e3,
            "times": base / timing.median,
            "goal": GOAL if name.endswith("stream") else None,
            **{f"ms_a_frame_{key}": getattr(timing, key) / FRAMES for key in ("p10", "p90")},
        }
        for name, timing in timings.items()
    ]
    about = {
        "input": f"720p MJPEG, {FRAMES} frames", "repetitions": REPETITIONS,
        "model": "YOLO-NAS-S 640 x 640, 80 classes, random weights",
        "stages_p50_ms": {name: stage["p50"] for name, stage in objects.items()},
    }  # fmt: skip
    report("end_to_end", rows, {**about, **conditions(THREADS)})


if __name__ == "__main__":
    main()
