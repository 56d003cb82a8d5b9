"""TensorRT's control flow, over a fake driver and a fake TensorRT: nothing of it ran on a GPU."""

from __future__ import annotations

import gc
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fake_cuda import CUresult, FakeDriver
from fake_tensorrt import FakeTensorrt, engine_bytes
from scripted import Scripted
from tiny import tiny_spec

from edge_sdk.bundle import write_bundle
from edge_sdk.errors import EdgeError, MissingExtra
from edge_sdk.runtime import Detector, Pipeline
from edge_sdk.runtime.backends import choose_target, open_engine
from edge_sdk.runtime.cuda import DeviceFrame
from edge_sdk.runtime.cuda.stream import Graph, Stream

NAME = "tesla-t4-sm75_tensorrt-10.3.0_0123456789ab.engine"
SPEC = tiny_spec()
FAR = (96, 128, 3)


def write(path: Path, content: bytes | None = None, target: str = "tensorrt") -> Path:
    """Write a bundle whose engine is for the fake."""
    file = f"engines/{target.replace(':', '-')}/{NAME}"
    manifest = {"head_spec": SPEC.to_dict(), "model_key": "", "engines": {target: {"file": file}}}
    return write_bundle(path, {file: content or engine_bytes(SPEC)}, manifest)


@pytest.fixture
def bundle(fake_trt: FakeTensorrt, tmp_path: Path) -> Path:
    return write(tmp_path / "fake.edge")


def frame(value: int, shape: tuple[int, ...] = FAR) -> np.ndarray[Any, Any]:
    """Return a grey picture, whose value the fake network gives as the left side of a box."""
    return np.full(shape, value, np.uint8)


def left(detections: Any) -> float:
    (box,) = detections.boxes.tolist()
    return float(box[0])


class OnGpu:
    """An array that says that it lies on a GPU."""

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self.array = array
        self.__cuda_array_interface__ = {**array.__array_interface__, "stream": None}


def test_a_frame_becomes_its_detections(bundle: Path, cuda: FakeDriver) -> None:
    with Detector(bundle, target="tensorrt") as detector:
        found, times = detector.timed(frame(50))
        assert (left(found), found.class_ids.tolist()) == (50.0, [1])
        assert found.boxes[0, 2:].tolist() == [128, 96]
        assert min(times) >= 0
        assert (detector.target, detector.parallel) == ("tensorrt", 2)
        assert left(detector(frame(60, (192, 256, 3)))) == 120.0
    assert cuda.stack() == []


def test_host_code_in_an_engine_is_not_allowed(bundle: Path, fake_trt: FakeTensorrt) -> None:
    Detector(bundle).close()
    assert fake_trt.host_code_allowed == [False]


def test_a_changed_engine_is_not_opened(bundle: Path, fake_trt: FakeTensorrt) -> None:
    engine = next(bundle.rglob("*.engine"))
    engine.write_bytes(engine.read_bytes() + b" ")
    with pytest.raises(EdgeError, match="not what the manifest says"):
        Detector(bundle, target="tensorrt")
    assert fake_trt.host_code_allowed == []


def test_a_frame_is_one_upload_one_graph_and_one_small_download(
    bundle: Path, cuda: FakeDriver
) -> None:
    with Detector(bundle) as detector:
        detector(frame(1))
        cuda.calls.clear()
        cuda.done.clear()
        cuda.copied.clear()
        detector(frame(2))
    work = [name for _, name in cuda.done]
    assert work == ["upload", "upload", "engine", "suppression", "download"]
    assert cuda.copied["download"] == 16 + 24 * 300
    assert cuda.calls[:6] == [
        "cuCtxPushCurrent", "cuMemcpyHtoDAsync", "cuGraphLaunch", "cuEventRecord",
        "cuEventSynchronize", "cuCtxPopCurrent",
    ]  # fmt: skip


def test_an_engine_that_cannot_be_captured_runs_all_the_same(
    bundle: Path, fake_trt: FakeTensorrt, cuda: FakeDriver
) -> None:
    fake_trt.capturable = False
    with Detector(bundle) as detector:
        cuda.calls.clear()
        assert left(detector(frame(9))) == 9.0
        assert "cuGraphLaunch" not in cuda.calls


def test_raw_outputs_are_decoded_on_the_gpu(
    fake_trt: FakeTensorrt, cuda: FakeDriver, tmp_path: Path
) -> None:
    with Detector(write(tmp_path / "raw.edge", engine_bytes(SPEC, raw=True))) as detector:
        cuda.done.clear()
        assert left(detector(frame(33))) == 33.0
    work = [name for _, name in cuda.done]
    assert work == ["upload", "upload", "engine", "candidates", "suppression", "download"]


@pytest.mark.parametrize("integrated", [False, True])
def test_a_frame_on_the_gpu_is_not_copied(bundle: Path, cuda: FakeDriver, integrated: bool) -> None:
    cuda.integrated = integrated
    picture = frame(77, (96, 160, 3))[:, 16:144]
    with Detector(bundle) as detector:
        detector(frame(1))
        cuda.done.clear()
        assert left(detector(OnGpu(picture))) == 77.0
        plain = DeviceFrame(picture.ctypes.data, 96, 128, picture.strides[0], "bgr", picture)
        assert left(detector(plain)) == 77.0
        first = [name for _, name in cuda.done][: 3 if integrated else 5]
    rest = ["engine", "suppression"]
    wanted = ["letterbox", *rest] if integrated else ["letterbox", "upload", *rest, "download"]
    assert first == wanted


def test_an_integrated_gpu_copies_nothing(bundle: Path, cuda: FakeDriver) -> None:
    cuda.integrated = True
    with Detector(bundle) as detector:
        assert left(detector(frame(12))) == 12.0
    assert {name for _, name in cuda.done} == {"engine", "suppression"}


def test_kernels_for_an_open_batch_are_compiled_before_they_are_captured(
    bundle: Path, fake_trt: FakeTensorrt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorRT-RTX would exchange them later, when the graph holds the first ones."""
    Detector(bundle).close()
    assert fake_trt.context_settings == [None]
    strategy = SimpleNamespace(EAGER="eager")
    monkeypatch.setattr(
        fake_trt, "DynamicShapesKernelSpecializationStrategy", strategy, raising=False
    )
    Detector(bundle).close()
    (settings,) = fake_trt.context_settings[1:]
    assert settings.dynamic_shapes_kernel_specialization_strategy == "eager"


def test_a_lower_score_of_one_call_is_for_that_call(bundle: Path, cuda: FakeDriver) -> None:
    with Detector(bundle, score=0.95) as detector:
        assert len(detector(frame(5))) == 0
        assert len(detector.timed(frame(5), 0.5)[0]) == 1
        assert len(detector(frame(5))) == 0
        with pytest.raises(EdgeError, match=r"score threshold must be 0\.\.1, not 1\.5"):
            detector.timed(frame(5), 1.5)


def test_threads_have_a_stream_each_and_their_own_results(
    bundle: Path, cuda: FakeDriver, fake_trt: FakeTensorrt
) -> None:
    barrier = threading.Barrier(4)

    def work(number: int) -> list[float]:
        barrier.wait()
        return [left(detector(frame(10 * number + turn))) for turn in range(8)]

    with Detector(bundle) as detector, ThreadPoolExecutor(4) as pool:
        results = list(pool.map(work, range(1, 5)))
        assert results == [[10.0 * n + turn for turn in range(8)] for n in range(1, 5)]
        made = fake_trt.contexts
        assert 1 <= made <= 4
        assert len({stream for stream, name in cuda.done if name == "engine"}) == made
        list(pool.map(lambda n: detector(frame(n)), range(3)))
        assert fake_trt.contexts <= 4


def test_nothing_is_made_while_another_thread_captures(bundle: Path, cuda: FakeDriver) -> None:
    """What waits for the whole context, as libraries may, would end the capture."""
    inside, leave = threading.Event(), threading.Event()

    def work() -> None:
        inside.set()
        leave.wait(10)

    def capture() -> None:
        with context:
            stream = Stream()
            graph = Graph.capture(stream, work)
            graph.close()
            stream.close()

    def make() -> None:
        with context:
            engine.plan().execution_context()

    with Detector(bundle) as detector, ThreadPoolExecutor(2) as pool:
        engine: Any = detector.engine
        context = engine.context
        first = pool.submit(capture)
        assert inside.wait(10)
        second = pool.submit(make)
        with pytest.raises(TimeoutError):
            second.result(timeout=0.3)
        leave.set()
        first.result(timeout=10)
        second.result(timeout=10)


def test_everything_is_given_back_on_close(
    bundle: Path, cuda: FakeDriver, fake_trt: FakeTensorrt
) -> None:
    for _ in range(3):
        detector = Detector(bundle)
        detector(frame(3))
        detector(OnGpu(frame(3)))
        detector.close()
        detector.close()
        with pytest.raises(EdgeError, match="closed"):
            detector(frame(3))
        del detector
        gc.collect()
        assert (cuda.live, cuda.primary, fake_trt.contexts) == ({}, [0, 0], 0)


def test_a_failed_opening_gives_everything_back(bundle: Path, cuda: FakeDriver) -> None:
    for name in ("cuStreamCreate", "cuMemHostAlloc", "cuMemAlloc", "cuGraphInstantiate"):
        cuda.failing = {name: CUresult.CUDA_ERROR_OUT_OF_MEMORY}
        if name == "cuGraphInstantiate":
            Detector(bundle).close()
        else:
            with pytest.raises(EdgeError, match=f"^{name} failed .*too little free memory"):
                Detector(bundle)
        cuda.failing = {}
        gc.collect()
        assert cuda.live == {}, name


def test_the_engine_itself_runs_batches(fake_trt: FakeTensorrt, tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(engine_bytes(SPEC, batch=-1))
    engine = open_engine(path, "tensorrt", SPEC)
    images = np.stack([np.full((3, *SPEC.input_size), value, np.uint8) for value in (4, 8)])
    boxes, scores, labels = engine(images)
    assert boxes[:, 0, 0].tolist() == [4, 8]
    assert (scores.shape, labels[:, 0].tolist()) == ((2, 4), [1, 1])
    with pytest.raises(EdgeError, match=r"takes batches of 1 to 8, not of 9.*--max-batch 9"):
        engine.worker(9)
    engine.close()
    with pytest.raises(EdgeError, match="is closed"):
        engine.worker()


def test_outputs_come_in_the_order_of_the_contract(fake_trt: FakeTensorrt, tmp_path: Path) -> None:
    content = json.loads(engine_bytes(SPEC, raw=True))
    content["outputs"].reverse()
    (tmp_path / NAME).write_text(json.dumps(content))
    fake_trt.network = lambda image: {
        name: np.full((1, 1, 8), number) for number, name in enumerate(SPEC.output_names)
    }
    engine = open_engine(tmp_path / NAME, "tensorrt", SPEC)
    outputs = engine(np.zeros((1, 3, *SPEC.input_size), np.uint8))
    assert [output[0, 0, 0] for output in outputs] == list(range(len(SPEC.output_names)))
    engine.close()


@pytest.mark.parametrize(
    ("complaint", "sentence"),
    [
        ("The engine plan file is not compatible with this version of TensorRT, expecting library "
         "version 10.3.0 got 10.16.1, please rebuild.",
         r"was built for tesla-t4-sm75 with tensorrt-10\.3\.0, and here are GPU 0 \(sm75\) and "
         r"tensorrt 10\.3\.0: rebuild it with 'edge-sdk compile BUNDLE --target tensorrt'"),
        ("The engine plan file is generated on an incompatible device, expecting compute 7.5 got "
         "compute 8.6, please rebuild.", "rebuild it with 'edge-sdk compile"),
        ("Serialization assertion plan->header.size == blobSize failed.",
         "is damaged or cut short, .* copy or build it again"),
        ("Magic tag does not match", "is damaged or cut short"),
        ("Cannot deserialize engine with lean runtime: host code is not allowed.",
         "carries host code, which is not let run: build it without version compatibility"),
        ("Requested amount of GPU memory could not be allocated: out of memory",
         "GPU 0 has too little memory for .*: 512 of 16384 MiB are free"),
        ("Something else entirely.", r"tensorrt 10\.3\.0 cannot load .*: Something else entirely"),
    ],
)  # fmt: skip
def test_an_engine_that_is_refused_is_told_in_one_sentence(
    bundle: Path, fake_trt: FakeTensorrt, complaint: str, sentence: str
) -> None:
    fake_trt.complaint = complaint
    with pytest.raises(EdgeError, match=sentence) as caught:
        Detector(bundle, target="tensorrt")
    assert "\n" not in str(caught.value)
    assert "Engine deserialization failed" not in str(caught.value)


def test_a_library_that_cannot_start_is_not_used(bundle: Path, fake_trt: FakeTensorrt) -> None:
    fake_trt.start_error = "CUDA initialization failure with error: 35"
    with pytest.raises(EdgeError, match=r"does not start on this machine \(CUDA init.*driver"):
        Detector(bundle, target="tensorrt")
    assert fake_trt.host_code_allowed == []


@pytest.mark.parametrize("name", ["create", "run"])
def test_errors_while_running_carry_the_librarys_reason(
    bundle: Path, fake_trt: FakeTensorrt, name: str
) -> None:
    fake_trt.capturable = False
    with Detector(bundle) as detector:
        fake_trt.complaint = "no luck"
        if name == "create":
            with pytest.raises(EdgeError, match="cannot be made ready: no luck"):
                detector.engine.worker()
        else:
            with pytest.raises(EdgeError, match="fails when it runs: no luck"):
                detector(frame(1))


def test_a_gpu_lost_in_a_stream_ends_it_with_one_sentence(bundle: Path, cuda: FakeDriver) -> None:
    seen = 0

    def lose(result: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == 3:
            cuda.failing["cuEventSynchronize"] = CUresult.CUDA_ERROR_ILLEGAL_ADDRESS

    with Detector(bundle) as detector:
        pipeline = Pipeline(detector, [Scripted(40)], policy="every")
        with pytest.raises(EdgeError, match="the GPU was lost to this program; start it again"):
            pipeline.run([lose])
        assert seen >= 3
        cuda.failing.clear()


def test_the_same_gpu_as_the_caller(bundle: Path, cuda: FakeDriver) -> None:
    own = cuda.foreign_context(0)
    with Detector(bundle) as detector:
        assert left(detector(frame(8))) == 8.0
        with ThreadPoolExecutor(1) as pool:
            assert left(pool.submit(detector, frame(9)).result()) == 9.0
    assert (cuda.stack(), cuda.primary) == ([own], [0, 0])


def test_a_device_is_chosen_by_index(bundle: Path, cuda: FakeDriver) -> None:
    with Detector(bundle, device=1):
        assert cuda.primary == [0, 1]
    with pytest.raises(EdgeError, match="no GPU 2"):
        Detector(bundle, target="tensorrt", device=2)


@pytest.mark.parametrize(
    ("asked", "available", "device", "chosen"),
    [
        (None, ("openvino", "tensorrt"), 0, "tensorrt"),
        (None, ("openvino", "tensorrt-rtx:sm80"), 0, "openvino"),
        (None, ("openvino", "tensorrt"), 7, "openvino"),
        ("tensorrt", ("tensorrt:remote", "tensorrt"), 0, "tensorrt"),
        ("openvino", ("tensorrt", "openvino"), 0, "openvino"),
    ],
)
def test_which_engine_of_a_bundle_is_taken(
    fake_trt: FakeTensorrt, asked: str | None, available: tuple[str, ...], device: int, chosen: str
) -> None:
    assert choose_target(asked, available, device) == chosen


def test_rtx_engines_are_chosen_by_the_gpu(fake_trt: FakeTensorrt) -> None:
    kinds = ("tensorrt-rtx:sm75", "tensorrt-rtx:sm76")
    assert choose_target("tensorrt-rtx", kinds, 1) == "tensorrt-rtx:sm76"
    with pytest.raises(EdgeError, match=r"Fake A10, sm76\), only for tensorrt-rtx:sm75: rebuild "
                                        r"with --target tensorrt-rtx:sm76"):  # fmt: skip
        choose_target("tensorrt-rtx", kinds[:1], 1)


def test_a_bundle_for_elsewhere_says_what_is_still_to_do(
    fake_trt: FakeTensorrt, tmp_path: Path
) -> None:
    path = write(tmp_path / "remote.edge", b"a graph", "tensorrt:remote")
    with pytest.raises(EdgeError, match="no engine yet: run 'edge-sdk compile"):
        Detector(path, target="tensorrt")


def test_what_is_no_engine_is_refused(fake_trt: FakeTensorrt, tiny_model: Path) -> None:
    with pytest.raises(EdgeError, match="open a bundle that was built for tensorrt"):
        Detector(tiny_model, target="tensorrt")
    with pytest.raises(EdgeError, match="device 1 is a GPU, and onnxruntime runs on the CPU"):
        Detector(tiny_model, target="onnxruntime", device=1)


def test_without_the_library_the_extra_is_named(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(__import__("sys").modules, "tensorrt")
    with pytest.raises(MissingExtra, match=r"pip install 'edge-sdk\[tensorrt\]'"):
        Detector(bundle, target="tensorrt")
