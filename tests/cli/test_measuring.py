"""eval, bench, compare, inspect and doctor, as a user meets them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny import tiny_spec
from typer.testing import CliRunner, Result

from edge_sdk.bundle import write_bundle
from edge_sdk.cli import application
from edge_sdk.errors import EdgeError
from edge_sdk.precision_plan import PlanGroup, PrecisionPlan

STREET = "test://street?seed=5&size=128x96&frames=3"


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(application(), [str(argument) for argument in arguments])


def run(*arguments: str | Path) -> str:
    """Return standard output of a command that succeeds."""
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def run_json(*arguments: str | Path) -> dict[str, Any]:
    return json.loads(run(*arguments, "--json"))


def error(*arguments: str | Path) -> str:
    """Return the sentence of a command that the user got wrong."""
    result = invoke(*arguments)
    assert isinstance(result.exception, EdgeError), result.output
    return str(result.exception)


def shown(*arguments: str | Path) -> str:
    return invoke(*arguments).stdout


def test_eval(tiny_bundle: Path):
    found = run_json("eval", tiny_bundle, "--data", STREET, "--target", "onnxruntime", "--limit", 2)
    assert found["images"] == 2
    assert found["objects"] > 0
    assert 0 <= found["map"] <= found["map50"] <= 1
    assert set(found["per_class"]) >= {"car", "truck", "pedestrian"}
    assert found["split"] == "val"
    assert found["target"] == "onnxruntime"
    assert found["settings"]["score"] == 0.01
    assert {"small", "medium", "large"} <= set(found)
    assert "cpu" in found["conditions"]
    assert found["remarks"] == [
        "the model does not know cyclist, traffic light: counted with a precision of 0"
    ]


def test_eval_of_a_float_model_for_people(tiny_model: Path):
    result = invoke("eval", tiny_model, "--data", STREET, "--limit", "1")
    for part in ("mAP50-95", "car", "iou 0.65", "cpu"):
        assert part in result.stdout
    assert "Note: the model does not know" in result.stderr


def test_eval_of_what_is_not_there(tiny_bundle: Path, tmp_path: Path):
    assert "no split 'test'" in error("eval", tiny_bundle, "--data", STREET, "--split", "test")
    assert "does not exist" in error("eval", tiny_bundle, "--data", tmp_path / "none")
    assert "no bundle" in error("eval", tmp_path / "none.edge", "--data", STREET)
    assert "'tensorrt'" in error("eval", tiny_bundle, "--data", STREET, "--target", "tensorrt")


def test_bench(tiny_bundle: Path):
    found = run_json(
        "bench", tiny_bundle, "--source", STREET, "--repetitions", 5, "--warmup", 1,
        "--threads", 1, "--float", "--target", "onnxruntime",
    )  # fmt: skip
    assert list(found["latency"]) == ["tiny.edge", "float"]
    for stages in found["latency"].values():
        assert stages["total"]["samples"] == 5
        assert stages["total"]["p50"] > 0
        assert set(stages) == {"letterbox", "inference", "postprocess", "total"}
    assert found["threads"] == found["conditions"]["threads"] == 1
    assert found["frames"] == "3 of 128 x 96, in rotation"


def test_bench_for_people_says_when_int8_does_not_pay(tiny_bundle: Path, monkeypatch):
    from edge_sdk.evaluation import latency

    slow = latency.StageLatency(2, 2, 2, 2, 2, 1)
    same = latency.Latency(slow, slow, slow, slow)
    monkeypatch.setattr(
        latency, "measure_latency", lambda detectors, *_, **__: dict.fromkeys(detectors, same)
    )
    text = shown("bench", tiny_bundle, "--source", STREET, "--float")
    assert "1.00 times the speed of float" in text
    assert "ship float" in text
    assert "20 frames before, not counted" in " ".join(text.split())


def test_bench_of_what_cannot_be_timed(tiny_model: Path, tmp_path: Path):
    assert "--float is for bundles" in error("bench", tiny_model, "--source", STREET, "--float")
    assert "no source" in error("bench", tiny_model, "--source", tmp_path / "none")


def test_compare(tiny_bundle: Path, tiny_model: Path):
    sides = (f"{tiny_model}@onnxruntime", f"{tiny_bundle}@openvino")
    found = run_json("compare", *sides, "--images", STREET, "--limit", 1)
    assert found["tensors"][0]["tensor"] == "c2"
    assert found["outputs"][0] == "classes_8"
    text = shown("compare", *sides, "--images", STREET, "--limit", 1, "--worst", 2)
    assert "SQNR" in text
    assert "c2 " not in text
    assert "distances_32" in text


def test_compare_with_itself(tiny_model: Path):
    side = f"{tiny_model}@onnxruntime"
    text = shown("compare", side, side, "--images", STREET, "--limit", 1)
    assert "equal" in text
    assert "Lowest" not in text


def test_compare_of_strangers(tiny_model: Path, tmp_path: Path):
    assert "Cannot read" in error("compare", tiny_model, tmp_path / "none.onnx")
    assert "no bundle" in error("compare", tiny_model, tmp_path / "none.edge")


def test_inspect_a_bundle(tiny_bundle: Path):
    found = run_json("inspect", tiny_bundle)
    assert found["classes"] == ["car", "truck", "pedestrian"]
    assert found["head"]["layout"] == "dfl"
    assert [engine["target"] for engine in found["engines"]] == ["openvino", "onnxruntime"]
    assert found["hashes"] == "all 3 files are what the manifest says"
    text = shown("inspect", tiny_bundle)
    assert "preprocessing.placement" in text
    assert "onnxruntime" in text


def test_inspect_shows_a_name_with_a_comma_as_one(tiny_model: Path, tmp_path: Path):
    spec = tiny_spec().with_names(("car, parked", "truck", "pedestrian"))
    bundle = write_bundle(
        tmp_path / "named.edge",
        {"model.onnx": tiny_model},
        {"head_spec": spec.to_dict(), "engines": {"openvino": {"file": "model.onnx"}}},
    )
    assert "│      0 │ car, parked │" in shown("inspect", bundle)


def test_inspect_names_the_layers_that_stay_float(tiny_model: Path, tmp_path: Path):
    groups = (
        PlanGroup("c2", ("c2",), "float", "costs 3 points"),
        PlanGroup("c4", ("c4",), "int8", "all INT8"),
    )
    plan = PrecisionPlan("", "openvino", groups)
    bundle = write_bundle(
        tmp_path / "mixed.edge",
        {"model.onnx": tiny_model, "plan.yaml": plan.to_yaml()},
        {"head_spec": tiny_spec().to_dict(), "engines": {"openvino": {"file": "model.onnx"}}},
    )
    kept = run_json("inspect", bundle)["kept_float"]
    assert kept == [{"group": "c2", "layers": ["c2"], "why": "costs 3 points"}]
    assert "costs 3 points" in shown("inspect", bundle)


def test_inspect_a_model(tiny_model: Path):
    found = run_json("inspect", tiny_model)
    assert found["inputs"] == {"images": [1, 3, 96, 128]}
    assert found["nodes"]["Conv"] == 11
    assert found["opset"] == 19
    assert found["head"]["family"] == "yolo_nas"


def test_inspect_a_changed_bundle(tiny_bundle: Path, tmp_path: Path):
    broken = shutil.copytree(tiny_bundle, tmp_path / "broken.edge")
    with open(broken / "model.onnx", "r+b") as file:
        file.write(b"x")
    assert "SHA-256 differs" in error("inspect", broken)


def test_inspect_what_is_no_model(tmp_path: Path):
    (tmp_path / "cut.onnx").write_bytes(b"\x08\x07\x12")
    assert "not a valid ONNX model" in error("inspect", tmp_path / "cut.onnx")


def test_doctor():
    found = run_json("doctor")
    assert found["cpu"]["kernels"] in ("portable", "avx2", "avx512", "neon")
    packages = {row["package"]: row for row in found["packages"]}
    assert packages["openvino"]["version"]
    assert packages["openvino"]["install"] is None
    assert "CPUExecutionProvider" in found["onnxruntime_providers"]
    assert found["opencv"]["files"]


def test_doctor_says_what_to_install(monkeypatch):
    from edge_sdk.evaluation import conditions

    monkeypatch.setattr(conditions, "version_of", lambda name: None)
    packages = {row["package"]: row["install"] for row in run_json("doctor")["packages"]}
    assert packages["opencv"] == "pip install 'edge-sdk[camera]'"
    assert "edge-sdk[camera]" in " ".join(shown("doctor").split())


@pytest.mark.parametrize(
    ("command", "module", "extra"),
    [
        (("finetune", "--data", "set", "-o", "run"), "torch", "train"),
        (("finetune", "--data", "set", "-o", "run"), "cv2", "train"),
        (("convert", "model.onnx", "-o", "out.onnx"), "onnx", "convert"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(
    command: tuple[str, ...], module: str, extra: str
) -> None:
    hidden = f"import sys; sys.modules[{module!r}] = None; from edge_sdk.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", hidden, *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert f"`edge-sdk {command[0]}` needs the package" in done.stderr
    assert f"pip install 'edge-sdk[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (
            "train",
            "edge-sdk: interrupted; the same command goes on from what it last saved, some minutes "
            "ago at most.",
        ),
        ("dataset", "edge-sdk: interrupted."),
    ],
)
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_an_interruption_is_told(command: str, said: str, name: str, tmp_path: Path) -> None:
    program = f"""
import signal, sys, edge_sdk.datasets.writer, edge_sdk.training
# Also where a script's & has SIGINT ignored, or nohup SIGHUP.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
def interrupted(*_, **__): signal.raise_signal(signal.{name})
edge_sdk.datasets.writer.write_dataset = edge_sdk.training.train = interrupted
sys.argv = ["edge-sdk", {command!r}, *sys.argv[1:]]
from edge_sdk.cli import main
main()
"""
    data = ("test://street",) if command == "dataset" else ("--data", "test://street")
    done = subprocess.run(
        [sys.executable, "-c", program, *data, "-o", tmp_path / "out"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 130
    assert done.stderr.splitlines()[-1] == said


def test_a_mistake_is_one_sentence_and_status_2(tmp_path: Path):
    program = "from edge_sdk.cli import main; main()"
    command = [sys.executable, "-c", program, "inspect", str(tmp_path / "none.edge")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("edge-sdk: There is no bundle at ")
    assert done.stderr.count("\n") == 1
