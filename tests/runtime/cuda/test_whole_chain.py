"""A detector's whole way on the GPU, against the CPU's, to the bit.

The kernels are the real ones, compiled for the host; driver and TensorRT are fakes, and the
network is made of numbers that depend on the image. No GPU is needed, and none is imitated.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emulated_cuda import EmulatedModule
from fake_cuda import FakeDriver
from fake_tensorrt import FakeTensorrt, engine_bytes
from tiny import tiny_spec

from edge_sdk.bundle import write_bundle
from edge_sdk.runtime import Detector
from edge_sdk.runtime.backends import tensorrt_chain
from edge_sdk.runtime.cuda.frame import DeviceFrame
from edge_sdk.runtime.cuda.kernels import candidates, letterbox, suppression
from edge_sdk.runtime.letterbox import Letterbox
from edge_sdk.runtime.postprocess import Postprocessor
from edge_sdk.suppression import RUNNING

SPEC = tiny_spec()
SHAPES = {
    name: [1, channels, SPEC.input_size[0] // stride, SPEC.input_size[1] // stride]
    for role, channels in (("classes", SPEC.num_classes), ("distances", 4 * (SPEC.reg_max + 1)))
    for name, stride in zip(SPEC.outputs[role], SPEC.strides, strict=True)
}


class Waiting(EmulatedModule):
    """Runs a kernel when the stream comes to it, with the arguments of the launch."""

    def __init__(self, cuda: FakeDriver, name: str, folder: Path) -> None:
        super().__init__(name, folder)
        self._cuda = cuda

    def launch(self, name: Any, grid: Any, block: Any, arguments: Any, stream: int) -> None:
        copies = [np.array(argument) for argument in arguments]
        run = partial(EmulatedModule.launch, self, name, grid, block, copies, stream)
        self._cuda.put(stream, name, run)


def network(image: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """Return outputs of which some pass the threshold, others for another image."""
    random = np.random.default_rng(int(image.astype(np.int64).sum()))
    return {
        name: random.normal(-2.5 if "classes" in name else 0.0, 1.5, shape).astype(np.float16)
        for name, shape in SHAPES.items()
    }


@pytest.fixture
def detector(
    fake_trt: FakeTensorrt, cuda: FakeDriver, compiled_kernels: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Any:  # fmt: skip
    fake_trt.network = network
    for place, name in (
        (candidates, "CudaCandidates"),
        (letterbox, "CudaLetterbox"),
        (suppression, "CudaSuppression"),
    ):
        monkeypatch.setattr(place, "Module", partial(Waiting, cuda, folder=compiled_kernels))
        monkeypatch.setattr(tensorrt_chain, name, getattr(place, name))
    outputs = [[name, "HALF", shape] for name, shape in SHAPES.items()]
    file = "engines/tensorrt/raw.engine"
    manifest = {"head_spec": SPEC.to_dict(), "engines": {"tensorrt": {"file": file}}}
    files = {file: engine_bytes(SPEC, outputs=outputs)}
    return partial(Detector, write_bundle(tmp_path / "raw.edge", files, manifest))


@pytest.mark.parametrize(
    "settings",
    [{}, {"class_agnostic": True, "iou": 0.4}, {"multi_label": False, "max_detections": 5}],
)
def test_the_gpus_way_gives_what_the_cpus_gives(detector: Any, settings: dict[str, Any]) -> None:
    random = np.random.default_rng(1)
    place = Letterbox(SPEC.preprocessing, SPEC.input_size)
    settings = {**RUNNING, **settings}
    expect = Postprocessor(SPEC, **settings)
    with detector(**settings) as found_by:
        for height, width in ((90, 160), (200, 120), (90, 160)):
            image = random.integers(0, 256, (height, width, 3), np.uint8)
            inside = np.empty((3, *SPEC.input_size), np.uint8)
            placement = place(image, inside)
            raw = network(inside)
            outputs = [raw[name][0].astype(np.float32) for name in SPEC.output_names]
            wanted = expect(outputs, placement, (height, width))
            there = DeviceFrame(image.ctypes.data, height, width, 3 * width, "bgr", image)
            assert len(wanted) > 3
            for frame in (image, there):
                found = found_by(frame)
                np.testing.assert_array_equal(found.boxes, wanted.boxes)
                np.testing.assert_array_equal(found.scores, wanted.scores)
                np.testing.assert_array_equal(found.class_ids, wanted.class_ids)


def test_every_call_may_have_a_threshold_of_its_own(detector: Any) -> None:
    image = np.random.default_rng(2).integers(0, 256, (96, 128, 3), np.uint8)
    with detector() as found_by:
        every, _ = found_by.timed(image, 0.0)
        assert len(every) > 100
        for score in (0.2, 0.6, 0.4):
            found, _ = found_by.timed(image, score)
            with detector(score=score) as other:
                wanted = other(image)
            assert 0 < len(found) < len(every)
            np.testing.assert_array_equal(found.scores, wanted.scores)
            np.testing.assert_array_equal(found.boxes, wanted.boxes)
