import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from tiny import write_tiny_model

from edge_sdk.bundle import Bundle
from edge_sdk.calibration import calibrate
from edge_sdk.converters import engines
from edge_sdk.converters.convert import convert
from edge_sdk.converters.engines.tensorrt_files import planned_layers
from edge_sdk.converters.passes.suppression_in_graph import OUTPUTS
from edge_sdk.deployment import build, deploy, plan, work_folder
from edge_sdk.engine_trial import EngineTrial
from edge_sdk.errors import EdgeError, NoInt8Kernel
from edge_sdk.evaluation.timing import Timing
from edge_sdk.precision_plan import PrecisionPlan
from edge_sdk.quantization_table import QuantizationTable
from edge_sdk.runtime import Detector
from edge_sdk.runtime.backends import open_engine

IMAGES = "test://street?seed=3&size=128x96"


@pytest.fixture(scope="session")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with model.onnx, model.calib and a plan for each target."""
    folder = tmp_path_factory.mktemp("deployment")
    model = convert(write_tiny_model(folder / "tiny.onnx"), folder / "model.onnx").output
    calibrate(model, IMAGES, folder / "model.calib", limit=4)
    for target in ("openvino", "onnxruntime"):
        plan(model, folder / "model.calib", target, folder / f"{target}.yaml")
    return folder


def run_build(folder: Path, output: Path, target: str = "openvino", **options: Any) -> Any:
    options = {"keep_int8": True, **options}
    files = (folder / "model.onnx", folder / "model.calib", folder / f"{target}.yaml")
    return build(*files, target, output, **options)


def seem(monkeypatch: pytest.MonkeyPatch, float_ms: float, int8_ms: float) -> None:
    """Let every trial find these times."""

    def time(trial: EngineTrial, spec: object) -> None:
        for name, value in (("float", float_ms), ("int8", int8_ms)):
            trial.times[name] = Timing(value, value, value, 1)

    monkeypatch.setattr(EngineTrial, "time", time)


@pytest.mark.parametrize("target", ["openvino", "onnxruntime"])
def test_a_bundle_runs_and_its_engine_is_close_to_float(
    calibrated: Path, tmp_path: Path, target: str
) -> None:
    done = run_build(calibrated, tmp_path / "a.edge", target, method="max")
    assert done.plan.share() == 1.0
    assert done.speedup is not None
    with Bundle.open(done.bundle) as bundle:
        assert bundle.targets == (target,)
        assert bundle.manifest["engines"][target]["precision"] == "int8"
        assert "The ranges that were cut the most" in (bundle.path / "report.html").read_text()
        assert bundle.manifest["precision"]["float_layers"] == 0
        engines = {
            "int8": open_engine(bundle.engine_file(target), target, bundle.head_spec),
            "float": open_engine(calibrated / "model.onnx", target, bundle.head_spec),
        }
        image = np.random.default_rng(0).uniform(0, 1, (1, 3, 96, 128)).astype(np.float32)
        outputs = {name: engine(image) for name, engine in engines.items()}
    for exact, quantized in zip(outputs["float"], outputs["int8"], strict=True):
        noise = np.square(quantized - exact).mean() / np.square(exact).mean()
        assert 1e-9 < noise < 0.05


def test_a_bundle_holds_what_it_was_made_of(calibrated: Path, tmp_path: Path) -> None:
    done = run_build(calibrated, tmp_path / "a.edge")
    with Bundle.open(done.bundle) as bundle:
        names = set(bundle.manifest["files"])
        assert names == {
            "model.onnx", "quant.json", "plan.yaml", "proof.json", "report.html",
            "engines/openvino/lowered.onnx", "engines/openvino/model.xml",
            "engines/openvino/model.bin", "selftest/expected.json", "selftest/frames.npz",
        }  # fmt: skip
        table = QuantizationTable.load(bundle.file("quant.json"))
        assert table.model_key == bundle.manifest["model_key"]
        assert PrecisionPlan.load(bundle.file("plan.yaml")) == done.plan
        assert bundle.manifest["provenance"]["calibration_images"] == 4
        assert set(bundle.manifest["measured"]["inference_ms"]) == {"float", "int8"}


def test_int8_that_is_no_faster_is_not_shipped(
    calibrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seem(monkeypatch, 10.0, 9.9)
    done = run_build(calibrated, tmp_path / "a.edge", keep_int8=False)
    assert done.refused
    assert done.plan.int8_layers == frozenset()
    with Bundle.open(done.bundle) as bundle:
        assert bundle.manifest["engines"]["openvino"]["precision"] == "float"
        assert bundle.manifest["measured"]["speedup"] == pytest.approx(10 / 9.9)
    assert not run_build(calibrated, tmp_path / "b.edge", keep_int8=True).refused
    seem(monkeypatch, 10.0, 9.0)
    assert not run_build(calibrated, tmp_path / "c.edge", keep_int8=False).refused


def test_layers_that_the_plan_keeps_are_float(calibrated: Path, tmp_path: Path) -> None:
    files = (calibrated / "model.onnx", calibrated / "model.calib")
    made = plan(*files, "openvino", tmp_path / "plan.yaml", keep_float=["*"])
    assert made.int8_layers == frozenset()
    done = build(*files, tmp_path / "plan.yaml", "openvino", tmp_path / "a.edge")
    assert done.speedup is None
    with Bundle.open(done.bundle) as bundle:
        assert bundle.manifest["engines"]["openvino"]["precision"] == "float"


def test_a_plan_for_another_target_or_model_is_refused(calibrated: Path, tmp_path: Path) -> None:
    files = (calibrated / "model.onnx", calibrated / "model.calib")
    with pytest.raises(EdgeError, match="for the target 'openvino', not for 'onnxruntime'"):
        build(*files, calibrated / "openvino.yaml", "onnxruntime", tmp_path / "a.edge")
    text = (calibrated / "openvino.yaml").read_text()
    key = PrecisionPlan.load(calibrated / "openvino.yaml").model_key
    (tmp_path / "plan.yaml").write_text(text.replace(key, "f" * 64))
    with pytest.raises(EdgeError, match="for another model"):
        build(*files, tmp_path / "plan.yaml", "openvino", tmp_path / "a.edge")
    assert not (tmp_path / "a.edge").exists()


def test_a_calibration_of_another_model_is_refused(calibrated: Path, tmp_path: Path) -> None:
    other = write_tiny_model(tmp_path / "other.onnx", seed=1)
    with pytest.raises(EdgeError, match="belongs to another model"):
        plan(other, calibrated / "model.calib", "openvino", tmp_path / "plan.yaml")


def test_an_unknown_target_is_refused(calibrated: Path, tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match="no target 'tpu': choose one of openvino, onnxruntime"):
        plan(calibrated / "model.onnx", calibrated / "model.calib", "tpu", tmp_path / "plan.yaml")


def test_deploy_goes_from_a_model_to_detections_and_uses_its_files_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, output = write_tiny_model(tmp_path / "source.onnx"), tmp_path / "a.edge"
    done = deploy(source, IMAGES, "onnxruntime", output, limit=2, keep_int8=True)
    with Detector(done.bundle) as detector:
        detector(np.zeros((60, 80, 3), np.uint8))
    work = work_folder(output)
    before = (work / "model.onnx").stat().st_mtime_ns, (work / "model.calib").stat().st_mtime_ns
    deploy(source, IMAGES, "onnxruntime", output, limit=2, keep_int8=True)
    after = (work / "model.onnx").stat().st_mtime_ns, (work / "model.calib").stat().st_mtime_ns
    assert after == before
    deploy(source, IMAGES, "onnxruntime", output, limit=2, keep_int8=True, names=["a", "b", "c"])
    assert (work / "model.onnx").stat().st_mtime_ns > before[0]
    with Bundle.open(output) as bundle:
        assert bundle.head_spec.class_names == ("a", "b", "c")


def test_deploy_converts_another_source_anew(tmp_path: Path) -> None:
    output = tmp_path / "a.edge.zip"
    source = write_tiny_model(tmp_path / "source.onnx")
    deploy(source, IMAGES, "openvino", output, limit=2, keep_int8=True)
    with Bundle.open(output) as bundle:
        first = bundle.manifest["model_key"]
    shutil.copy(write_tiny_model(tmp_path / "other.onnx", seed=1), source)
    deploy(source, IMAGES, "openvino", output, limit=2, keep_int8=True)
    with Bundle.open(output) as bundle:
        assert bundle.manifest["model_key"] != first
        assert bundle.manifest["provenance"]["source"]["sha256"]


def test_deploy_names_a_missing_source_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match=r"There is no model at .*none\.pth"):
        deploy(tmp_path / "none.pth", IMAGES, "openvino", tmp_path / "a.edge")
    assert not list(tmp_path.iterdir())


def test_an_engine_for_a_gpu_is_built_but_not_timed(
    trt: object, calibrated: Path, tmp_path: Path
) -> None:
    files = (calibrated / "model.onnx", calibrated / "model.calib")
    made = plan(*files, "tensorrt-rtx:sm75", tmp_path / "plan.yaml")
    done = build(*files, tmp_path / "plan.yaml", "tensorrt-rtx:sm75", tmp_path / "a.edge")
    assert (done.speedup, done.refused) == (None, False)
    assert done.plan.int8_layers == made.int8_layers
    with Bundle.open(done.bundle) as bundle:
        engine = bundle.manifest["engines"]["tensorrt-rtx:sm75"]
        assert engine["precision"] == "int8"
        assert engine["weight_bits"] == 8
        assert engine["file"].startswith("engines/tensorrt-rtx-sm75/sm75_tensorrt-rtx-")
        assert "untimed" in bundle.manifest["measured"]
        folder = "engines/tensorrt-rtx-sm75"
        assert {f"{folder}/lowered.onnx", f"{folder}/lint.txt"} <= set(bundle.manifest["files"])
        assert (
            "The network as NVIDIA&#x27;s parser read it" in bundle.file("report.html").read_text()
        )


def test_a_device_elsewhere_gets_both_forms_of_the_graph(calibrated: Path, tmp_path: Path) -> None:
    files = (calibrated / "model.onnx", calibrated / "model.calib")
    plan(*files, "tensorrt:remote", tmp_path / "plan.yaml")
    done = build(*files, tmp_path / "plan.yaml", "tensorrt:remote", tmp_path / "a.edge")
    with Bundle.open(done.bundle) as bundle:
        folder = "engines/tensorrt-remote"
        names = {"lowered.onnx", "lowered-both.onnx", "COMMANDS.txt"}
        assert {f"{folder}/{name}" for name in names} <= set(bundle.manifest["files"])
        assert bundle.manifest["engines"]["tensorrt:remote"]["file"] == f"{folder}/lowered.onnx"


@pytest.mark.parametrize("keep_float", [[], ["*"]])
def test_other_programs_get_a_graph_with_suppression_when_asked(
    calibrated: Path, tmp_path: Path, keep_float: list[str]
) -> None:
    files = (calibrated / "model.onnx", calibrated / "model.calib")
    made = plan(*files, "tensorrt:remote", tmp_path / "plan.yaml", keep_float=keep_float)
    build(*files, tmp_path / "plan.yaml", "tensorrt:remote", tmp_path / "a.edge", nms=True)
    with Bundle.open(tmp_path / "a.edge") as bundle:
        graph = onnx.load(bundle.file("engines/tensorrt-remote/lowered-nms.onnx"))
        assert [output.name for output in graph.graph.output] == list(OUTPUTS)
        assert planned_layers(graph) == made.int8_layers
        assert bundle.engine_file("tensorrt:remote").name == "lowered.onnx"
        commands = bundle.file("engines/tensorrt-remote/COMMANDS.txt").read_text()
    assert all(name in commands for name in OUTPUTS)


@pytest.mark.parametrize("target", ["openvino", "onnxruntime", "tensorrt-rtx:sm75"])
def test_suppression_in_the_graph_is_refused_where_nothing_runs_it(
    calibrated: Path, tmp_path: Path, target: str
) -> None:
    with pytest.raises(EdgeError, match="leave --nms out"):
        deploy(calibrated / "model.onnx", IMAGES, target, tmp_path / "a.edge", nms=True)
    assert not list(tmp_path.iterdir())


def test_a_plan_without_integers_gives_a_gpu_a_float_engine(
    calibrated: Path, tmp_path: Path
) -> None:
    files = (calibrated / "model.onnx", calibrated / "model.calib")
    plan(*files, "tensorrt:remote", tmp_path / "plan.yaml", keep_float=["*"])
    done = build(*files, tmp_path / "plan.yaml", "tensorrt:remote", tmp_path / "a.edge")
    with Bundle.open(done.bundle) as bundle:
        assert bundle.manifest["engines"]["tensorrt:remote"]["precision"] == "float"
        assert "engines/tensorrt-remote/lowered-both.onnx" not in bundle.manifest["files"]


@pytest.mark.parametrize(
    ("target", "precision"), [("tensorrt:remote", "float"), ("openvino", "int8")]
)
def test_depthwise_layers_stay_float_on_gpus_and_the_plan_says_why(
    tmp_path: Path, target: str, precision: str
) -> None:
    network = onnx.load(write_tiny_model(tmp_path / "tiny.onnx"))
    first = next(node for node in network.graph.node if node.op_type == "Conv")
    (name,) = first.output
    first.output[0] = "wide"
    weight = np.ones((16, 1, 1, 1), np.float32)
    network.graph.initializer.append(onnx.numpy_helper.from_array(weight, "dw"))
    behind = list(network.graph.node).index(first) + 1
    depthwise = onnx.helper.make_node("Conv", ["wide", "dw"], [name], "depthwise", group=16)
    network.graph.node.insert(behind, depthwise)
    onnx.save(network, tmp_path / "depthwise.onnx")
    model = convert(tmp_path / "depthwise.onnx", tmp_path / "model.onnx").output
    calibrate(model, IMAGES, tmp_path / "model.calib", limit=2)
    made = plan(model, tmp_path / "model.calib", target, tmp_path / "plan.yaml")
    (group,) = (group for group in made.groups if "depthwise" in group.layers)
    assert group.precision == precision
    assert (group.why in made.reasons()) == (precision == "float")
    assert {other.precision for other in made.groups if other != group} == {"int8"}


def test_layers_without_an_integer_kernel_stay_float_and_the_plan_says_why(
    calibrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library is a stand-in that refuses one layer; the control flow is what is tested."""
    files = (calibrated / "model.onnx", calibrated / "model.calib")
    made = plan(*files, "tensorrt:remote", tmp_path / "plan.yaml")
    refused = made.groups[1].layers[0]
    write = engines.write_engine

    def refuse(target: str, lowered: onnx.ModelProto, folder: Path) -> Path:
        if refused in planned_layers(lowered):
            raise NoInt8Kernel([refused], "not here")
        return write(target, lowered, folder)

    monkeypatch.setattr(engines, "write_engine", refuse)
    done = build(*files, tmp_path / "plan.yaml", "tensorrt:remote", tmp_path / "a.edge")
    assert made.int8_layers - done.plan.int8_layers == set(made.groups[1].layers)
    assert done.plan.groups[1].why == "no INT8 kernel: not here"
    with Bundle.open(done.bundle) as bundle:
        assert PrecisionPlan.load(bundle.file("plan.yaml")) == done.plan


def test_the_scales_of_a_given_table_are_taken_as_they_are(
    calibrated: Path, tmp_path: Path
) -> None:
    with Bundle.open(run_build(calibrated, tmp_path / "a.edge").bundle) as bundle:
        table = QuantizationTable.load(bundle.file("quant.json"))
    activations = {
        name: replace(point, scale=2 * point.scale, method="trained")
        for name, point in table.activations.items()
    }
    replace(table, activations=activations).save(tmp_path / "quant.json")
    files = (calibrated / "model.onnx", None, calibrated / "openvino.yaml", "openvino")
    table_of = {"table": tmp_path / "quant.json", "keep_int8": True}
    done = build(*files, tmp_path / "b.edge", **table_of)  # type: ignore[arg-type]
    with Bundle.open(done.bundle) as bundle:
        assert QuantizationTable.load(bundle.file("quant.json")).activations == activations
        assert bundle.manifest["precision"]["ranges"] == "trained"
        assert "calibration_key" not in bundle.manifest["provenance"]
        assert bundle.manifest["precision"]["refined"] == []
        assert "The ranges that were cut" not in (bundle.path / "report.html").read_text()
    biases = {name: np.zeros(len(w.scales), np.float32) for name, w in table.weights.items()}
    replace(table, biases=biases).save(tmp_path / "quant.json")
    counts = calibrated / "model.calib"
    done = build(files[0], counts, *files[2:], tmp_path / "b.edge", **table_of)  # type: ignore[arg-type]
    with Bundle.open(done.bundle) as bundle:
        assert bundle.manifest["precision"]["refined"] == ["biases"]
        assert bundle.manifest["provenance"]["calibration_images"] == 4
    with pytest.raises(EdgeError, match="leave the range method out"):
        build(*files, tmp_path / "c.edge", method="max", **table_of)  # type: ignore[arg-type]
    with pytest.raises(EdgeError, match="Give a calibration or a quantization table"):
        build(*files, tmp_path / "c.edge")
    replace(table, model_key="f" * 64).save(tmp_path / "other.json")
    with pytest.raises(EdgeError, match="belongs to another model"):
        build(*files, tmp_path / "c.edge", table=tmp_path / "other.json")
