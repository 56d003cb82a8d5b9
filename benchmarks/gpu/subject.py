"""What the engine's parts look at: the trained test-camera network, all INT8, in a bundle.

    python benchmarks/gpu/subject.py

makes it, which needs no GPU. A GPU machine that is handed the folder build/gpu compiles the engine
from it, and does without the packages that conversion and calibration need.
"""

from __future__ import annotations

from pathlib import Path

from parts import read_result

from edge_sdk.deployment import deploy, work_folder
from edge_sdk.errors import EdgeError

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "weights" / "n_street.onnx"
WORK = ROOT / "build" / "gpu"
CAMERA = "test://street?split=calibration"
IMAGES = 64


def target() -> str:
    """Return what the probe found to run here.

    Raises
    ------
    EdgeError
        If nothing does.
    """
    found = read_result("probe")["target"]
    if found is None:
        raise EdgeError("no engine library runs on this GPU: see gpu_probe.json")
    return str(found)


def float_model() -> Path:
    """Return where the network lies as it is calibrated: one convolution a block."""
    return work_folder(bundle()) / "model.onnx"


def bundle() -> Path:
    """Return where the bundle lies."""
    return WORK / "street.edge"


def prepare() -> None:
    """Make the bundle, with the graph for TensorRT in it, unless it is there."""
    if bundle().is_dir():
        return
    WORK.mkdir(parents=True, exist_ok=True)
    deploy(MODEL, CAMERA, "tensorrt:remote", bundle(), limit=IMAGES)


if __name__ == "__main__":
    prepare()
    print(bundle())
