from __future__ import annotations

import gc
import os
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tiny import CLASSES, tiny_spec, write_tiny_bundle, write_tiny_model

from edge_sdk.bundle import Bundle, write_bundle
from edge_sdk.detections import Detections
from edge_sdk.errors import EdgeError
from edge_sdk.runtime import Detector, backends, open_engine
from edge_sdk.runtime.backends import TARGETS


def frames(count: int = 1, size: tuple[int, int] = (120, 200)) -> list[npt.NDArray[np.uint8]]:
    """Pictures with something different in each: coarse noise."""
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 256, (count, size[0] // 8, size[1] // 8, 3), dtype=np.uint8)
    return [np.kron(image, np.ones((8, 8, 1), np.uint8)) for image in coarse]


def assert_same(one: Detections, other: Detections) -> None:
    np.testing.assert_array_equal(one.boxes, other.boxes)
    np.testing.assert_array_equal(one.scores, other.scores)
    np.testing.assert_array_equal(one.class_ids, other.class_ids)


@pytest.fixture(params=TARGETS)
def detector(request: pytest.FixtureRequest, tiny_bundle: Path) -> Iterator[Detector]:
    with Detector(tiny_bundle, target=request.param, threads=1) as detector:
        yield detector


def test_finds_boxes_in_the_frame_that_depend_on_it(detector: Detector) -> None:
    first, second = (detector(frame) for frame in frames(2))
    assert len(first) > 0
    assert first.names == CLASSES == detector.names
    assert (first.scores >= 0.25).all()
    assert (first.boxes >= 0).all()
    assert (first.boxes <= [200, 120, 200, 120]).all()
    assert not np.array_equal(first.scores[:5], second.scores[:5])


def test_targets_agree(tiny_bundle: Path) -> None:
    found = []
    for target in TARGETS:
        with Detector(tiny_bundle, target=target, threads=1, score=0.5) as detector:
            assert detector.target == target
            found.append(detector(frames()[0]))
    assert len(found[0]) == len(found[1])
    np.testing.assert_allclose(found[0].scores, found[1].scores, atol=1e-4)


def test_float_model_and_zipped_bundle_are_the_same(
    tiny_model: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    zipped = write_tiny_bundle(tmp_path / "tiny.edge.zip", tiny_model)
    results = []
    for path in (tiny_model, tiny_bundle, zipped):
        with Detector(path, threads=1) as detector:
            results.append(detector(frames()[0]))
    assert_same(results[0], results[1])
    assert_same(results[0], results[2])


def test_settings_reach_the_postprocessor(tiny_bundle: Path) -> None:
    frame = frames()[0]
    with Detector(tiny_bundle, threads=1, score=0.6, max_detections=4) as strict:
        found = strict(frame)
    assert 0 < len(found) <= 4
    assert (found.scores >= 0.6).all()


def test_a_bundle_has_settings_of_its_own(tiny_model: Path, tmp_path: Path) -> None:
    with Bundle.open(write_tiny_bundle(tmp_path / "a.edge", tiny_model)) as bundle:
        files = {name: bundle.file(name) for name in bundle.manifest["files"]}
        manifest = {**bundle.manifest, "suppression": {"max_detections": 2}}
        own = write_bundle(tmp_path / "b.edge", files, manifest)
    frame = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    with Detector(own, score=0.0) as detector:
        assert len(detector(frame)) == 2
    with Detector(own, score=0.0, max_detections=1) as detector:
        assert len(detector(frame)) == 1


def test_from_engine_takes_other_names(tiny_model: Path) -> None:
    engine = open_engine(tiny_model, "onnxruntime", threads=1)
    with Detector.from_engine(engine, engine.spec.with_names(["a", "b", "c"]), score=0.3) as one:
        assert one(frames()[0]).names == ("a", "b", "c")
    with pytest.raises(EdgeError, match="closed"):
        engine.worker()


def test_one_engine_shared_by_threads_gives_what_one_thread_gets(detector: Detector) -> None:
    pictures = frames(24)
    alone = [detector(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        shared = list(pool.map(detector, pictures))
    for one, other in zip(alone, shared, strict=True):
        assert_same(one, other)


def padded(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The picture as a window of a larger one: its rows lie apart."""
    height, width, _ = image.shape
    canvas = np.zeros((height + 10, width + 20, 3), np.uint8)
    canvas[5:-5, 7 : 7 + width] = image
    return canvas[5:-5, 7 : 7 + width]


class Foreign:
    """Memory of another library."""

    def __init__(self, image: npt.NDArray[np.uint8]) -> None:
        self.__array_interface__ = image.__array_interface__
        self._keep = image


@pytest.mark.parametrize(
    "dress",
    [
        padded,
        Foreign,
        lambda image: memoryview(bytearray(image.tobytes())).cast("B", image.shape),
        lambda image: image[::-1].copy()[::-1],
        lambda image: image[..., ::-1].copy()[..., ::-1],
    ],
    ids=["rows apart", "array interface", "buffer", "upside down", "channels reversed"],
)
def test_frames_of_any_memory(detector: Detector, dress: Any) -> None:
    image = frames()[0]
    assert_same(detector(dress(image)), detector(image))


def test_frames_are_read_in_place(tiny_bundle: Path) -> None:
    """A 4K frame of an application's buffer costs no memory: neither a copy nor an input."""
    frame = padded(np.zeros((2160, 3840, 3), np.uint8))
    with Detector(tiny_bundle, threads=1, score=0.9) as detector:
        detector(frame)
        tracemalloc.start()
        detector(frame)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 40_000


@pytest.mark.parametrize(
    "frame",
    [
        None,
        "frame",
        np.zeros((10, 10), np.uint8),
        np.zeros((10, 10, 4), np.uint8),
        np.zeros((10, 10, 3), np.float32),
        np.zeros((0, 10, 3), np.uint8),
        np.zeros((2, 10, 10, 3), np.uint8),
    ],
    ids=["nothing", "text", "grey", "alpha", "float", "empty", "batch"],
)
def test_wrong_frames_are_named_and_do_no_harm(detector: Detector, frame: Any) -> None:
    with pytest.raises(EdgeError, match="frame"):
        detector(frame)
    assert len(detector(frames()[0])) > 0


def test_pictures_of_pillow_are_refused_as_they_are_rgb(detector: Detector) -> None:
    image = pytest.importorskip("PIL.Image")
    with pytest.raises(EdgeError, match="pictures of Pillow are RGB"):
        detector(image.fromarray(frames()[0]))


def test_what_numpy_cannot_read_is_refused_in_our_words(detector: Detector) -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(EdgeError, match=r"must be an array that numpy can read: .*requires grad"):
        detector(torch.zeros(8, 8, 3, requires_grad=True))


def test_a_forked_process_is_told_to_open_its_own(detector: Detector) -> None:
    """It would wait for ever for threads that did not come along."""
    detector(frames()[0])
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            detector(frames()[0])
        except EdgeError as error:
            os.write(write, str(error).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        assert "before its process was forked" in answer.read()
    os.waitpid(child, 0)
    assert len(detector(frames()[0]))


def test_stages_are_timed(detector: Detector) -> None:
    found, times = detector.timed(frames()[0])
    assert_same(found, detector(frames()[0]))
    assert min(times) > 0
    assert times.total == pytest.approx(times.letterbox + times.inference + times.postprocess)


def test_closed_detector_says_so(tiny_bundle: Path) -> None:
    detector = Detector(tiny_bundle, threads=1)
    detector.close()
    detector.close()
    with pytest.raises(EdgeError, match="closed"):
        detector(frames()[0])


def test_close_waits_for_calls_under_way(tiny_bundle: Path) -> None:
    detector = Detector(tiny_bundle, threads=1)
    entered, go_on = threading.Event(), threading.Event()
    (chain,) = detector._idle

    def slow(*arguments: Any) -> Any:
        entered.set()
        go_on.wait(5)
        return chain(*arguments)

    detector._idle = [slow]
    with ThreadPoolExecutor(2) as pool:
        call = pool.submit(detector, frames()[0])
        entered.wait(5)
        closing = pool.submit(detector.close)
        assert not closing.done()
        go_on.set()
        assert len(call.result(5)) > 0
        closing.result(5)


def test_temporary_folder_of_a_zip_goes_with_the_detector(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zipped = write_tiny_bundle(tmp_path / "tiny.edge.zip", tiny_model)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Detector(zipped, threads=1) as detector:
        assert len(list(tmp_path.iterdir())) == 2
    assert list(tmp_path.iterdir()) == [zipped]
    assert detector.names == CLASSES  # still held: closing it is what cleaned up
    with pytest.raises(EdgeError):
        Detector(zipped, score=7.0)
    with pytest.raises(EdgeError):
        Detector(zipped, target="tensorrt")
    assert list(tmp_path.iterdir()) == [zipped]


def test_engine_that_is_not_installed(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "installed", lambda target: False)
    with pytest.raises(EdgeError, match="pip install 'edge-sdk"):
        Detector(tiny_bundle)


def test_batch_of_several_is_refused(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "four.onnx", batch=4)
    with pytest.raises(EdgeError, match="takes batches of 4, not of 1"):
        Detector(model)


def test_dynamic_batch_runs(tmp_path: Path, tiny_model: Path) -> None:
    model = write_tiny_model(tmp_path / "any.onnx", tiny_spec(), batch="batch")
    with Detector(model, threads=1) as dynamic, Detector(tiny_model, threads=1) as static:
        assert len(dynamic(frames()[0])) == len(static(frames()[0]))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/statm")
def test_memory_does_not_grow(detector: Detector) -> None:
    pictures = [picture for size in ((120, 200), (96, 96)) for picture in frames(8, size)]

    def resident_after(rounds: int) -> int:
        for _ in range(rounds):
            for picture in pictures:
                detector(picture)
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE")

    before = resident_after(10)
    assert resident_after(40) - before < 1 << 20
