from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from edge_sdk.calibration import Calibration, calibrate
from edge_sdk.calibration.cache import partial_file
from edge_sdk.calibration.observed_model import ObservedModel
from edge_sdk.converters.model_file import head_spec_of, load_model, save_model
from edge_sdk.converters.quantization_points import quantization_points
from edge_sdk.errors import EdgeError
from edge_sdk.images import read_image
from edge_sdk.runtime.letterbox import Letterbox

POINTS = {"images": False, "relu": False, "plain": True, "joined": True, "pooled": True}


class Interrupt(KeyboardInterrupt):
    pass


def interrupted_after(count: int):
    def progress(done: int, total: int, what: str) -> None:
        if done == count:
            raise Interrupt

    return progress


def same(one: Calibration, other: Calibration) -> bool:
    return one.key == other.key and all(
        np.array_equal(one.histograms[name].counts, other.histograms[name].counts)
        and one.histograms[name].exponent == other.histograms[name].exponent
        and one.histograms[name].minimum == other.histograms[name].minimum
        and one.histograms[name].maximum == other.histograms[name].maximum
        for name in (*one.histograms, *other.histograms)
    )


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the pictures that the network was run on."""
    names: list[str] = []
    observe = ObservedModel.observe

    def spy(self: ObservedModel, image: np.ndarray, name: str) -> None:
        names.append(name)
        observe(self, image, name)

    monkeypatch.setattr(ObservedModel, "observe", spy)
    return names


def test_every_point_is_counted_as_the_network_computes_it(
    model_path: Path, folder: Path, tmp_path: Path
) -> None:
    calibration = calibrate(model_path, folder, tmp_path / "model.calib")
    model = load_model(model_path)
    spec = head_spec_of(model)
    assert quantization_points(model).activations == POINTS
    session = onnxruntime.InferenceSession(model.SerializeToString())
    weight = numpy_helper.to_array(model.graph.initializer[0])
    low, high, values = np.inf, -np.inf, 0
    for path in sorted(folder.iterdir()):
        batch = np.empty((1, 3, *spec.input_size), np.float32)
        Letterbox(spec.preprocessing, spec.input_size)(read_image(path), batch[0])
        low, high, values = min(low, batch.min()), max(high, batch.max()), values + batch.size
        assert session.run(None, {"images": batch})[0].shape[1] == 256
    images = calibration.histograms["images"]
    assert (images.minimum, images.maximum, images.total) == (low, high, values)
    relu = calibration.histograms["relu"]
    assert relu.total == 20 * len(weight) * 32 * 32
    assert relu.minimum == 0 < relu.zeros < relu.total
    assert {name: one.signed for name, one in calibration.histograms.items()} == POINTS
    assert calibration.skipped == ()


def test_the_file_holds_the_calibration(model_path: Path, folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "model.calib"
    calibration = calibrate(model_path, folder, output)
    assert same(Calibration.load(output), calibration)
    assert len(Calibration.load(output).images) == 20
    assert not partial_file(output).exists()


def test_nothing_is_run_again_when_nothing_changed(
    model_path: Path, folder: Path, tmp_path: Path, runs: list[str]
) -> None:
    output = tmp_path / "model.calib"
    first = calibrate(model_path, folder, output)
    written = output.stat().st_mtime_ns
    second = calibrate(model_path, folder, output)
    assert len(runs) == 20
    assert (first.reused, second.reused) == (0, 20)
    assert same(first, second)
    assert output.stat().st_mtime_ns == written


def test_renamed_images_are_the_same_images(
    model_path: Path, folder: Path, tmp_path: Path, runs: list[str]
) -> None:
    output = tmp_path / "model.calib"
    calibrate(model_path, folder, output)
    (folder / "00.png").rename(folder / "zz.png")
    calibrate(model_path, folder, output)
    assert len(runs) == 20


@pytest.mark.parametrize("stop", [3, 8, 13, 20])
def test_an_interrupted_run_goes_on_and_gives_the_same(
    model_path: Path, folder: Path, tmp_path: Path, runs: list[str], stop: int
) -> None:
    whole = calibrate(model_path, folder, tmp_path / "whole.calib")
    runs.clear()
    output = tmp_path / "model.calib"
    with pytest.raises(Interrupt):
        calibrate(model_path, folder, output, progress=interrupted_after(stop))
    assert not output.exists()
    resumed = calibrate(model_path, folder, output)
    assert resumed.reused == stop // 8 * 8
    assert len(runs) == 20 + stop % 8
    assert same(resumed, whole)
    assert not partial_file(output).exists()


def test_an_interrupted_run_leaves_the_earlier_file_alone(
    model_path: Path, folder: Path, tmp_path: Path
) -> None:
    output = tmp_path / "model.calib"
    calibrate(model_path, folder / "00.png", output)
    before = output.read_bytes()
    (folder / "00.png").unlink()
    with pytest.raises(Interrupt):
        calibrate(model_path, folder, output, progress=interrupted_after(10))
    assert output.read_bytes() == before


def test_an_interruption_before_the_last_save_is_made_good(
    model_path: Path, folder: Path, tmp_path: Path, runs: list[str]
) -> None:
    output = tmp_path / "model.calib"
    calibrate(model_path, folder, output, limit=10)
    for path in sorted(folder.iterdir())[16:]:
        path.unlink()
    whole = calibrate(model_path, folder, tmp_path / "whole.calib")
    whole.save(partial_file(output))
    runs.clear()
    resumed = calibrate(model_path, folder, output)
    assert (resumed.reused, runs) == (16, [])
    assert same(Calibration.load(output), whole)


def test_more_images_are_added_to_those_counted(
    model_path: Path, folder: Path, tmp_path: Path, runs: list[str]
) -> None:
    output = tmp_path / "model.calib"
    calibrate(model_path, folder, output, limit=10)
    grown = calibrate(model_path, folder, output, limit=20)
    assert (len(runs), grown.reused) == (20, 10)
    assert same(grown, calibrate(model_path, folder, tmp_path / "other.calib"))


def test_fewer_images_are_counted_afresh(
    model_path: Path, folder: Path, tmp_path: Path, runs: list[str]
) -> None:
    output = tmp_path / "model.calib"
    calibrate(model_path, folder, output)
    assert len(calibrate(model_path, folder, output, limit=5).images) == 5
    assert len(runs) == 25


@pytest.mark.parametrize("change", ["weight", "image", "preprocessing"])
def test_a_change_is_noticed(
    model_path: Path, folder: Path, tmp_path: Path, runs: list[str], change: str
) -> None:
    output = tmp_path / "model.calib"
    before = calibrate(model_path, folder, output)
    model = load_model(model_path)
    if change == "weight":
        weight = model.graph.initializer[0]
        weight.CopyFrom(numpy_helper.from_array(2 * numpy_helper.to_array(weight), weight.name))
    elif change == "image":
        cv2.imwrite(str(folder / "00.png"), np.zeros((8, 8, 3), np.uint8))
    else:
        text = model.metadata_props[0].value
        model.metadata_props[0].value = text.replace('"rgb"', '"bgr"')
        assert model.metadata_props[0].value != text
    save_model(model, model_path)
    after = calibrate(model_path, folder, output)
    assert after.reused == 0
    assert len(runs) == 40
    assert after.key != before.key


@pytest.mark.parametrize("damage", [b"", b"not a zip", "half"])
def test_a_damaged_earlier_file_is_replaced(
    model_path: Path, folder: Path, tmp_path: Path, damage: bytes | str
) -> None:
    output = tmp_path / "model.calib"
    calibrate(model_path, folder, output)
    data = output.read_bytes()
    output.write_bytes(data[: len(data) // 2] if isinstance(damage, str) else damage)
    assert calibrate(model_path, folder, output).reused == 0
    assert len(Calibration.load(output).images) == 20


def test_bad_images_are_named_and_left_out(model_path: Path, folder: Path, tmp_path: Path) -> None:
    clean = calibrate(model_path, folder, tmp_path / "clean.calib")
    (folder / "05a.jpg").write_bytes(b"")
    (folder / "07a.png").write_bytes((folder / "07.png").read_bytes()[:200])
    shutil.copy(folder / "09.png", folder / "09 copy.png")
    calibration = calibrate(model_path, folder, tmp_path / "model.calib")
    assert same(calibration, clean)
    remarks = "\n".join(calibration.skipped)
    assert len(calibration.skipped) == 3
    assert "05a.jpg is empty" in remarks
    assert "07a.png is corrupt" in remarks
    assert "09.png is a copy of" in remarks
    again = calibrate(model_path, folder, tmp_path / "model.calib")
    assert again.reused == 20
    assert again.skipped == calibration.skipped


def test_strange_images_are_used(model_path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "strange"
    folder.mkdir()
    rng = np.random.default_rng(0)
    shapes = {"pixel": (1, 1, 3), "grey": (9, 9), "alpha": (9, 9, 4), "row": (1, 400, 3)}
    for name, shape in shapes.items():
        cv2.imwrite(str(folder / f"{name}.png"), rng.integers(0, 255, shape, np.uint8))
    cv2.imwrite(str(folder / "deep.png"), rng.integers(0, 65535, (9, 9, 3), np.uint16))
    calibration = calibrate(model_path, folder, tmp_path / "model.calib")
    assert len(calibration.images) == 5


def test_no_usable_image_is_an_error(model_path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bad"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"no")
    (folder / "b.jpg").write_bytes(b"no!")
    with pytest.raises(EdgeError, match=r"None of the 2 images .*a\.jpg is corrupt"):
        calibrate(model_path, folder, tmp_path / "model.calib")
    assert not (tmp_path / "model.calib").exists()


def test_a_model_without_a_head_is_an_error(model_path: Path, folder: Path, tmp_path: Path) -> None:
    model = load_model(model_path)
    del model.metadata_props[:]
    save_model(model, model_path)
    with pytest.raises(EdgeError, match="convert"):
        calibrate(model_path, folder, tmp_path / "model.calib")


def test_a_fixed_batch_is_an_error(model_path: Path, folder: Path, tmp_path: Path) -> None:
    model = load_model(model_path)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 4
    save_model(model, model_path)
    with pytest.raises(EdgeError, match="batches of 4"):
        calibrate(model_path, folder, tmp_path / "model.calib")


def test_activations_that_are_not_finite_name_tensor_and_image(
    network: onnx.ModelProto, folder: Path, tmp_path: Path
) -> None:
    bias = next(tensor for tensor in network.graph.initializer if tensor.name == "plain.bias")
    bias.CopyFrom(numpy_helper.from_array(np.array([0, np.inf, 0, 0], np.float32), bias.name))
    save_model(network, tmp_path / "model.onnx")
    with pytest.raises(EdgeError, match=r"tensor '(plain|joined|pooled)' has NaN.*00\.png"):
        calibrate(tmp_path / "model.onnx", folder, tmp_path / "model.calib")


def test_progress_ends_with_all_images(model_path: Path, folder: Path, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    (folder / "99.jpg").write_bytes(b"")
    calibrate(
        model_path,
        folder,
        tmp_path / "model.calib",
        progress=lambda done, total, what: calls.append((done, total)),
    )
    assert (calls[0], calls[-1]) == ((0, 21), (21, 21))
