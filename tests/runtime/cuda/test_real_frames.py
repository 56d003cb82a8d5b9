"""The three kernels behind one another, on rendered frames and a trained network's outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_sdk.runtime.backends import open_engine
from edge_sdk.runtime.cuda.frame import DeviceFrame
from edge_sdk.runtime.cuda.kernels.candidates import CudaCandidates
from edge_sdk.runtime.cuda.kernels.letterbox import CudaLetterbox
from edge_sdk.runtime.cuda.kernels.suppression import CudaSuppression
from edge_sdk.runtime.letterbox import Letterbox
from edge_sdk.runtime.postprocess import Postprocessor, raw_threshold
from edge_sdk.runtime.sources import open_source

NETWORK = Path(__file__).resolve().parents[3] / "weights" / "n_street.onnx"
OPTIONS = {"score": 0.1, "iou": 0.6, "max_detections": 100}


def test_a_street_gives_what_the_cpu_gives(machine):
    pytest.importorskip("onnxruntime")
    with open_source("test://street?size=960x540&frames=2&seed=3") as source:
        frames = [np.ascontiguousarray(frame.image) for frame in source]
    engine = open_engine(NETWORK, "onnxruntime", threads=1)
    spec = engine.spec
    batch = np.zeros((2, 3, *spec.input_size), np.float32)
    letterbox = Letterbox(spec.preprocessing, spec.input_size)
    placements = [letterbox(frame, out) for frame, out in zip(frames, batch, strict=True)]
    images = [engine(image[None]) for image in batch]
    outputs = [np.concatenate(maps).astype(np.float16) for maps in zip(*images, strict=True)]
    engine.close()

    kernel = CudaLetterbox(spec.preprocessing, spec.input_size, np.float32)
    given = [DeviceFrame(machine.put(frame), 540, 960, 3 * 960, "bgr") for frame in frames]
    filled = machine.put(np.zeros_like(batch))
    assert kernel(given, filled, 0) == placements
    assert np.array_equal(machine.take(filled), batch)

    choose = CudaCandidates(spec, 2, np.float16, 1000, True)
    suppress = CudaSuppression(2, 1000, OPTIONS["iou"], False, 100, True)
    places = np.array([(p.scale, p.left, p.top, 960, 540) for p in placements], np.float32)
    chosen = [
        machine.put(np.zeros((2, 1000, *shape), kind))
        for shape, kind in (((4,), np.float32), ((), np.float32), ((), np.int32))
    ]
    results = machine.put(np.zeros((2, 4 + 6 * 100), np.int32))
    passing, all_of_them = (
        machine.put(np.array([least], np.float32))
        for least in (raw_threshold(spec, OPTIONS["score"]), 0.0)
    )
    choose([machine.put(output) for output in outputs], passing, *chosen, 0)
    suppress(*chosen, all_of_them, machine.put(places), results, 0)

    post = Postprocessor(spec, **OPTIONS)
    for image, words in enumerate(machine.take(results)):
        raw = [output[image].astype(np.float32) for output in outputs]
        expected = post(raw, placements[image], (540, 960))
        assert len(expected) > 3
        count = words[0]
        assert np.array_equal(words[4:404].view(np.float32).reshape(-1, 4)[:count], expected.boxes)
        assert np.array_equal(words[404:504].view(np.float32)[:count], expected.scores)
        assert np.array_equal(words[504:][:count], expected.class_ids)
        assert words.nbytes < 8192
    for held in (kernel, choose, suppress):
        held.close()
