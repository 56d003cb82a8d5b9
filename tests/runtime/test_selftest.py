"""The faults that people report, each planted in a bundle whose engine was right when built."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from tiny import tiny_spec, write_tiny_bundle

from edge_sdk import selftest
from edge_sdk.bundle import MANIFEST, Bundle, write_bundle
from edge_sdk.bundle_selftest import FRAMES, selftest_files
from edge_sdk.calibration import calibrate
from edge_sdk.converters.convert import convert
from edge_sdk.converters.lowering import lowering
from edge_sdk.converters.model_file import head_spec_of, load_model, save_model
from edge_sdk.errors import EdgeError
from edge_sdk.head_spec import Preprocessing
from edge_sdk.runtime.detector import Detector
from edge_sdk.runtime.letterbox import Letterbox, Placement
from edge_sdk.runtime.selftest import Expectation

TARGET = "onnxruntime"
ENGINE = f"engines/{TARGET}/model.onnx"


def rewritten(bundle: Path, output: Path, files: dict[str, Any], **manifest: Any) -> Path:
    """Write a bundle anew with other files, or another manifest."""
    with Bundle.open(bundle) as opened:
        contents = {name: opened.file(name) for name in opened.manifest["files"]}
        return write_bundle(output, {**contents, **files}, {**opened.manifest, **manifest})


@pytest.fixture(scope="session")
def tested(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A bundle with a selftest, whose engine is the float network."""
    folder = tmp_path_factory.mktemp("selftest")
    bare = write_tiny_bundle(folder / "bare.edge", tiny_model)
    files = selftest_files(tiny_model, tiny_model, TARGET, tiny_spec())
    return rewritten(bare, folder / "tested.edge", files)


def on_classes(change: Callable[[onnx.GraphProto, str, str], None], engine: Path) -> bytes:
    """Return an engine whose maps of class logits go through one more node."""
    model = onnx.load(engine)
    graph = model.graph
    for output in [value.name for value in graph.output if "classes" in value.name]:
        inner = f"{output}.{change.__name__}"
        for node in graph.node:
            node.output[:] = [inner if name == output else name for name in node.output]
        change(graph, inner, output)
    return model.SerializeToString()


def constant(graph: onnx.GraphProto, name: str, value: Any) -> str:
    graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return name


def nothing(graph: onnx.GraphProto, source: str, target: str) -> None:
    low = constant(graph, f"{target}.low", np.float32(-30))
    graph.node.append(helper.make_node("Add", [source, low], [target]))


def compressed(graph: onnx.GraphProto, source: str, target: str) -> None:
    """Halve every score."""
    graph.node.extend([
        helper.make_node("Sigmoid", [source], [f"{target}.score"]),
        helper.make_node(
            "Mul",
            [f"{target}.score", constant(graph, f"{target}.half", np.float32(0.5))],
            [f"{target}.less"],
        ),
        helper.make_node(
            "Sub",
            [constant(graph, f"{target}.one", np.float32(1)), f"{target}.less"],
            [f"{target}.rest"],
        ),
        helper.make_node("Div", [f"{target}.less", f"{target}.rest"], [f"{target}.odds"]),
        helper.make_node("Log", [f"{target}.odds"], [target]),
    ])  # fmt: skip


def permuted(graph: onnx.GraphProto, source: str, target: str) -> None:
    channels = next(v for v in graph.output if v.name == target).type.tensor_type.shape.dim[1]
    order = np.roll(np.arange(channels.dim_value), 1)
    indices = constant(graph, f"{target}.order", order)
    graph.node.append(helper.make_node("Gather", [source, indices], [target], axis=1))


def plant(fault: str, bundle: Path, output: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the bundle with one thing wrong."""
    with Bundle.open(bundle) as opened:
        engine = opened.engine_file(TARGET)
        name = opened.manifest["engines"][TARGET]["file"]
        spec = opened.head_spec
    changes = {"nothing": nothing, "compressed": compressed, "permuted": permuted}
    if fault in changes:
        return rewritten(bundle, output, {name: on_classes(changes[fault], engine)})
    if fault == "boxes aside":
        place = Letterbox.__call__

        def aside(self: Letterbox, frame: Any, out: Any) -> Placement:
            placement = place(self, frame, out)
            return replace(placement, left=placement.left + 8)

        monkeypatch.setattr(Letterbox, "__call__", aside)
        return bundle
    wrong: dict[str, Any] = {
        "channels": {"channel_order": "bgr"},
        "letterbox": {"placement": "top_left"},
        "padding": {"pad_value": 0},
        "pixels not scaled": {"scale": 1.0},
    }
    preprocessing = replace(spec.preprocessing, **wrong[fault])
    other = replace(spec, preprocessing=preprocessing)
    return rewritten(bundle, output, {}, head_spec=other.to_dict())


FAULTS = (
    "nothing", "compressed", "permuted", "channels", "letterbox", "padding", "pixels not scaled",
    "boxes aside",
)  # fmt: skip


def test_the_engine_that_was_built_passes_on_both_counts(tested: Path) -> None:
    result = selftest(tested, target=TARGET)
    assert result.passed
    assert result.frames == FRAMES
    assert result.against_float.objects >= 24
    assert result.against_build is not None
    assert result.against_float.lost == result.against_build.lost == 0


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught(
    tested: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    result = selftest(plant(fault, tested, tmp_path / "wrong.edge", monkeypatch), target=TARGET)
    assert not result.passed
    assert "limit" in result.problems[0]


@pytest.mark.parametrize("fault", ["nothing", "compressed", "permuted"])
def test_an_engine_that_was_wrong_when_built_is_caught(
    tested: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """What it saw where it was built is no measure, or it would pass everywhere."""
    wrong = plant(fault, tested, tmp_path / "wrong.edge", monkeypatch)
    with Bundle.open(wrong) as bundle:
        engine, spec = bundle.engine_file(TARGET), bundle.head_spec
        files = selftest_files(bundle.file("model.onnx"), engine, TARGET, spec)
    result = selftest(rewritten(wrong, tmp_path / "again.edge", files), target=TARGET)
    assert result.against_build is not None
    assert result.against_build.lost == 0
    assert not result.passed
    assert all("the float network" in problem for problem in result.problems)


def test_an_engine_that_did_not_run_where_it_was_built(tested: Path) -> None:
    result = selftest(tested, target="openvino")
    assert result.passed
    assert result.against_build is None


def test_guesses_are_compared_where_too_little_is_recognized(
    tested: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tiny network with its log odds lowered by 12 is sure of nothing."""

    def unsure(graph: onnx.GraphProto, source: str, target: str) -> None:
        low = constant(graph, f"{target}.lower", np.float32(-12))
        graph.node.append(helper.make_node("Add", [source, low], [target]))

    with Bundle.open(tested) as bundle:
        model = tmp_path / "unsure.onnx"
        model.write_bytes(on_classes(unsure, bundle.file("model.onnx")))
    files = {ENGINE: model, **selftest_files(model, model, TARGET, tiny_spec())}
    weak = rewritten(tested, tmp_path / "weak.edge", files)
    result = selftest(weak, target=TARGET)
    assert result.passed
    assert not result.recognized
    assert result.against_float.objects >= 24
    for fault in ("nothing", "channels", "letterbox", "permuted"):
        wrong = plant(fault, weak, tmp_path / f"{fault}.edge", monkeypatch)
        assert not selftest(wrong, target=TARGET).passed, fault


def test_a_users_images_are_stored_small_and_without_their_folders(
    tested: Path, tmp_path: Path, tiny_model: Path
) -> None:
    import cv2

    folder = tmp_path / "secret"
    folder.mkdir()
    image = np.random.default_rng(0).integers(0, 255, (1200, 900, 3), np.uint8)
    cv2.imwrite(str(folder / "photo.png"), image)
    files = selftest_files(tiny_model, tiny_model, TARGET, tiny_spec(), folder)
    with Bundle.open(rewritten(tested, tmp_path / "own.edge", files)) as bundle:
        stored = Expectation.read(bundle)
    assert stored.names == ("photo.png",)
    assert [frame.shape for frame in stored.frames] == [(640, 480, 3)]


def test_frames_are_not_of_the_networks_shape_and_need_padding_either_way(tested: Path) -> None:
    with Bundle.open(tested) as bundle:
        stored, spec = Expectation.read(bundle), bundle.head_spec
    letterbox = Letterbox(spec.preprocessing, spec.input_size)
    places = [letterbox.placement(frame.shape[:2]) for frame in stored.frames]
    assert any(place.left for place in places)
    assert any(place.top for place in places)


def test_a_bundle_without_a_selftest_says_what_to_do(tiny_bundle: Path) -> None:
    with pytest.raises(EdgeError, match="holds no selftest: build it again"):
        selftest(tiny_bundle)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("selftest/expected.json", b"{}"),
        ("selftest/expected.json", b"not JSON"),
        ("selftest/frames.npz", b"not a zip"),
    ],
)
def test_a_selftest_that_cannot_be_read_is_named(
    tested: Path, tmp_path: Path, name: str, content: bytes
) -> None:
    broken = rewritten(tested, tmp_path / "broken.edge", {name: content})
    with pytest.raises(EdgeError, match=r"broken\.edge: its selftest cannot be read"):
        selftest(broken)


def test_changed_frames_are_refused(tested: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tested, tmp_path / "copy.edge"))
    data = bytearray((copy / "selftest/frames.npz").read_bytes())
    data[len(data) // 2] ^= 1
    (copy / "selftest/frames.npz").write_bytes(data)
    with pytest.raises(EdgeError, match="is not what the manifest says"):
        selftest(copy)
    assert json.loads((copy / MANIFEST).read_text())["files"]["selftest/frames.npz"]


@pytest.mark.slow
def test_every_fault_is_caught_on_a_trained_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All INT8, on frames of its own domain."""
    weights = Path(__file__).resolve().parents[2] / "weights" / "n_street.safetensors"
    model = convert(weights, tmp_path / "model.onnx").output
    counts = calibrate(model, "test://street?seed=3", tmp_path / "model.calib", limit=8)
    graph = load_model(model)
    spec, layers = head_spec_of(graph), frozenset(node.name for node in graph.graph.node)
    table = counts.quantization_table(graph, "onnxruntime")
    int8 = tmp_path / "int8.onnx"
    save_model(lowering(TARGET)(graph, table, layers), int8)
    built = write_bundle(
        tmp_path / "n.edge",
        {"model.onnx": model, ENGINE: int8, **selftest_files(model, int8, TARGET, spec)},
        {"head_spec": spec.to_dict(), "engines": {TARGET: {"file": ENGINE}}},
    )
    right = selftest(built, target=TARGET)
    assert right.passed
    assert right.recognized
    assert right.against_float.log_odds > 0
    for fault in FAULTS:
        with monkeypatch.context() as patch:
            wrong = plant(fault, built, tmp_path / f"{fault}.edge", patch)
            assert not selftest(wrong, target=TARGET).passed, fault


def test_the_detector_runs_as_on_a_camera(tested: Path) -> None:
    """The selftest leaves the bundle's own settings alone, and takes none of them."""
    with Bundle.open(tested) as bundle, Detector(tested, target=TARGET) as detector:
        stored = Expectation.read(bundle)
        seen = detector(stored.frames[0])
    expected = stored.expected[0].above(0.25)
    assert np.array_equal(seen.class_ids, expected.class_ids)
    assert bundle.head_spec.preprocessing == Preprocessing()
