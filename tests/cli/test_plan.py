import shutil
from pathlib import Path

import pytest
from tiny import write_tiny_model
from typer.testing import CliRunner, Result

from edge_sdk.bundle import Bundle
from edge_sdk.calibration import calibrate
from edge_sdk.calibration.latency import LatencyTable
from edge_sdk.cli import application
from edge_sdk.converters.convert import convert
from edge_sdk.errors import EdgeError
from edge_sdk.precision_plan import PrecisionPlan

IMAGES = "test://street?seed=3&size=128x96"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, its calibration and its latency table, which `profile` made."""
    folder = tmp_path_factory.mktemp("plan")
    convert(write_tiny_model(folder / "tiny.onnx"), folder / "model.onnx")
    calibrate(folder / "model.onnx", IMAGES, folder / "model.calib", limit=2)
    table = folder / "t t.json"
    told = run("profile", folder / "model.onnx", *common(folder), "--threads", 1, "-o", table)
    assert f"--latency '{table}' --max-shift" in told.stderr
    return Path(table.rename(folder / "t.json")).parent


def common(folder: Path) -> tuple[object, ...]:
    return ("--calib", folder / "model.calib", "--target", "onnxruntime")


def run(*arguments: object, status: int = 0) -> Result:
    """Run the program; raise what it raises."""
    result = CliRunner().invoke(application(), list(map(str, arguments)))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    return result


def test_profile_writes_a_table_of_every_group(made: Path) -> None:
    table = LatencyTable.load(made / "t.json")
    assert table.target == "onnxruntime"
    assert table.conditions["threads"] == 1
    assert all(time.float_ms > 0 for time in table.groups.values())
    assert table.predict(()) == pytest.approx(table.conditions["inference_ms"]["float"]["median"])


def test_plan_searches_if_a_limit_is_given(made: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    search = ("plan", made / "model.onnx", *common(made), "--latency", made / "t.json", "-o", plan)
    assert "a shift of at most 1000" in run(*search, "--max-shift", 1000).output
    assert "For a shift of at most 1000" in PrecisionPlan.load(plan).about
    result = run(*search, "--max-latency", 1e-6, status=1)
    assert "No plan keeps to it" in result.output
    assert PrecisionPlan.load(plan).about.startswith("For at most 1e-06 ms. No plan keeps to it")


@pytest.mark.parametrize(
    ("option", "value"),
    [("images", IMAGES), ("latency", "t.json"), ("threads", 1), ("split", "val"),
     ("labels", "test://street")],
)  # fmt: skip
def test_an_option_of_a_search_needs_a_budget(
    made: Path, tmp_path: Path, option: str, value: object
) -> None:
    plan = tmp_path / "plan.yaml"
    with pytest.raises(EdgeError, match=f"--{option} is for a search, .* give --hybrid"):
        run("plan", made / "model.onnx", *common(made), f"--{option}", value, "-o", plan)
    assert not plan.exists()


@pytest.mark.parametrize("option", ["latency", "labels"])
def test_deploy_needs_a_budget_for_a_search_too(tmp_path: Path, option: str) -> None:
    with pytest.raises(EdgeError, match=f"--{option} is for a search"):
        run("deploy", "tiny.onnx", "--images", IMAGES, "--target", "onnxruntime",
            f"--{option}", "given", "-o", tmp_path / "a.edge")  # fmt: skip


def test_a_file_of_another_kind_is_named(made: Path, tmp_path: Path) -> None:
    """What a library says of such a file is for those who call the library."""
    plan = tmp_path / "plan.yaml"
    model, calib = made / "model.onnx", made / "model.calib"
    run("plan", model, *common(made), "-o", plan)
    again = ("plan", model, "--target", "onnxruntime", "-o", tmp_path / "again.yaml")
    for arguments, says in (
        ((*again, "--calib", plan), f"{plan} is not a calibration that this version reads, or it "
         "is damaged: make it with `edge-sdk calibrate`."),
        ((*again, "--calib", calib, "--hybrid", "--latency", plan), f"{plan} is not a latency "
         "table: make one with `edge-sdk profile`."),
        (("build", model, "--calib", calib, "--plan", calib, "--target", "onnxruntime", "-o",
          tmp_path / "a.edge"), f"{calib} is not a plan: make one with `edge-sdk plan`."),
        (("build", model, "--table", calib, "--plan", plan, "--target", "onnxruntime", "-o",
          tmp_path / "a.edge"), f"{calib} is not a quantization table: "
         "make it with `edge-sdk refine`, `qat` or `build`."),
    ):  # fmt: skip
        with pytest.raises(EdgeError) as refused:
            run(*arguments)
        assert str(refused.value) == says


def test_a_split_needs_labels(made: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    with pytest.raises(EdgeError, match="--split val is of no labels"):
        run("plan", made / "model.onnx", *common(made), "--hybrid", "--split", "val", "-o", plan)


def test_points_need_labels(made: Path, tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match="--max-drop needs labelled images"):
        run("plan", made / "model.onnx", *common(made), "--max-drop", 1, "-o", tmp_path / "p.yaml")


def test_points_are_measured_on_labels(made: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    result = run(
        "plan", made / "model.onnx", *common(made), "--latency", made / "t.json", "-o", plan,
        "--max-drop", 50, "--labels", "test://street?seed=4&size=128x96&frames=2",
    )  # fmt: skip
    assert "points lost" in result.output
    report = plan.with_suffix(".html").read_text()
    assert "upper 95 % bound" in report
    assert "at most 50 points of mAP50-95 lost" in PrecisionPlan.load(plan).about


def test_deploy_searches_too(made: Path, tmp_path: Path) -> None:
    source = shutil.copy(made / "tiny.onnx", tmp_path / "tiny.onnx")
    run("deploy", source, "--images", IMAGES, "--limit", 1, "--target", "onnxruntime",
        "--max-shift", 1000, "--keep-int8", "-o", tmp_path / "a.edge")  # fmt: skip
    with Bundle.open(tmp_path / "a.edge") as bundle:
        assert bundle.manifest["measured"]["search"]["met"]
