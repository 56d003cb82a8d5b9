import importlib.util
import shlex
from pathlib import Path

import numpy as np
import pytest
from tiny import write_tiny_model
from typer.testing import CliRunner, Result

from edge_sdk.bundle import Bundle
from edge_sdk.cli import application
from edge_sdk.errors import EdgeError, MissingExtra
from edge_sdk.precision_plan import PrecisionPlan

IMAGES = "test://street?seed=3&size=128x96"


def run(*arguments: object) -> Result:
    """Run the program; raise what it raises."""
    result = CliRunner().invoke(application(), list(map(str, arguments)))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("tensorrt-rtx:sm75", "tells no times of its layers"),
        ("tensorrt:remote", "--latency times.json"),
    ],
)
def test_a_hybrid_for_another_device_asks_for_its_times_before_any_work(
    tmp_path: Path, target: str, message: str
) -> None:
    model = write_tiny_model(tmp_path / "tiny.onnx")
    options = ("--images", IMAGES, "--target", target, "--hybrid", "-o", tmp_path / "a.edge")
    with pytest.raises(EdgeError, match=message):
        run("deploy", model, *options)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.onnx"]


def test_a_hybrid_without_torch_says_so_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    model = write_tiny_model(tmp_path / "tiny.onnx")
    options = ("--images", IMAGES, "--target", "openvino", "--hybrid", "-o", tmp_path / "a.edge")
    with pytest.raises(MissingExtra, match=r"The search for a hybrid needs the package 'torch'"):
        run("deploy", model, *options)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.onnx"]


def test_labels_of_other_classes_are_told_before_the_calibration(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "tiny.onnx")
    names = ("--names", "ship,plane,rocket")  # not those of the street, nor as many
    budget = ("--max-drop", 1, "--labels", "test://street")
    with pytest.raises(EdgeError, match=r"\(ship, plane, rocket\) share no name"):
        run("deploy", model, "--images", IMAGES, "--target", "openvino", *names, *budget,
            "-o", tmp_path / "a.edge")  # fmt: skip
    assert not (tmp_path / "a.work" / "model.calib").exists()


def following(result: Result) -> list[str]:
    """Return the words of the command that is to be next, as a shell reads them."""
    return shlex.split(result.stderr.split("Next: edge-sdk ")[1].splitlines()[0])


def test_each_arrow_is_a_command(tmp_path: Path) -> None:
    folder = tmp_path / "my ü folder"
    folder.mkdir()
    source, model = write_tiny_model(tmp_path / "tiny.onnx"), folder / "model.onnx"
    calib, made, bundle = folder / "m.calib", folder / "plan.yaml", folder / "a.edge"
    told = run("convert", source, "-o", model)
    assert following(told)[:2] == ["calibrate", str(model)]
    told = run("calibrate", model, "--images", IMAGES, "--limit", 2, "-o", calib)
    assert following(told)[:4] == ["plan", str(model), "--calib", str(calib)]
    common = ("--calib", calib, "--target", "onnxruntime")
    run("plan", model, *common, "--keep-float", "Conv_1?", "--keep-float", "Conv_0", "-o", made)
    assert "float" in {group.precision for group in PrecisionPlan.load(made).groups}
    told = run("plan", model, *common, "-o", made)
    assert following(told)[:6] == ["build", str(model), "--calib", str(calib), "--plan", str(made)]
    told = run("build", model, *common, "--plan", made, "--seven-bit-weights", "--keep-int8",
               "-o", bundle)  # fmt: skip
    assert f"{bundle}: engine for onnxruntime." in told.stdout
    assert following(told)[:2] == ["eval", str(bundle)]
    with Bundle.open(bundle) as opened:
        assert opened.manifest["engines"]["onnxruntime"]["weight_bits"] == 7


def test_deploy_does_all_of_it(tmp_path: Path) -> None:
    source = write_tiny_model(tmp_path / "tiny.onnx")
    run("deploy", source, "--images", IMAGES, "--limit", 2, "--target", "openvino",
        "--names", "a,b,c", "-o", tmp_path / "a.edge")  # fmt: skip
    with Bundle.open(tmp_path / "a.edge") as opened:
        assert opened.head_spec.class_names == ("a", "b", "c")


def test_deploy_says_which_images_it_left_out(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    source = write_tiny_model(tmp_path / "tiny.onnx")
    (tmp_path / "images").mkdir()
    picture = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "images" / "good.png"), picture)
    (tmp_path / "images" / "bad.jpg").write_bytes(b"\xff\xd8 no picture")
    arguments = ["deploy", source, "--images", tmp_path / "images", "--target", "openvino",
                 "-o", tmp_path / "a.edge"]  # fmt: skip
    result = CliRunner().invoke(application(), list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    assert f"Left out: {tmp_path / 'images' / 'bad.jpg'} is corrupt" in result.stderr


def test_a_file_where_the_folder_of_its_steps_belongs_is_named(tmp_path: Path) -> None:
    source = write_tiny_model(tmp_path / "tiny.onnx")
    (tmp_path / "a.work").write_text("in the way")
    with pytest.raises(EdgeError, match=r"Cannot make the folder .*a\.work: File exists"):
        run("deploy", source, "--images", IMAGES, "--target", "openvino", "-o", tmp_path / "a.edge")


def test_a_pattern_without_a_layer_is_named(tmp_path: Path) -> None:
    source, model, calib = (tmp_path / name for name in ("t.onnx", "m.onnx", "m.calib"))
    run("convert", write_tiny_model(source), "-o", model)
    run("calibrate", model, "--images", IMAGES, "--limit", 1, "-o", calib)
    with pytest.raises(EdgeError, match="No layer is called 'nothing'"):
        run("plan", model, "--calib", calib, "--target", "openvino", "--keep-float", "nothing",
            "-o", tmp_path / "plan.yaml")  # fmt: skip
    assert not (tmp_path / "plan.yaml").exists()
