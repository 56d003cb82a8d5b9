"""edge-sdk doctor: what this machine can run, and what to install for the rest."""

from __future__ import annotations

import importlib.util
import platform
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_sdk.cli.console import print_json, results
from edge_sdk.cli.tables import cell, table

_FEATURES = (
    "sse4_2", "avx2", "fma", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8",
    "asimd", "asimdhp", "asimddp", "i8mm",
)  # fmt: skip
_PACKAGES = (
    ("openvino", "openvino", "engine, the default on x86-64"),
    ("onnxruntime", "onnxruntime", "engine, the default elsewhere"),
    ("tensorrt", "tensorrt", "engine on NVIDIA GPUs (experimental)"),
    ("tensorrt-rtx", "tensorrt-rtx", "the same, and build for GPUs that are not here"),
    ("cuda-bindings", "cuda", "run on NVIDIA GPUs"),
    ("opencv", "camera", "video files, cameras, pictures"),
    ("av", "camera", "network cameras: rtsp://, http://"),
    ("paho-mqtt", "mqtt", "MQTT sinks"),
    ("onnx", "convert", "convert, calibrate, build"),
    ("faster-coco-eval", "convert", "eval"),
    ("polygraphy", "convert", "compare"),
    ("torch", "train", "train, and convert from checkpoints"),
    ("supervision", "supervision", "Detections.to_supervision"),
)  # fmt: skip


def doctor(
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show what this machine can run, and what to install for the rest."""
    found = examine()
    if json:
        print_json(found)
    else:
        _show(found)


def examine() -> dict[str, Any]:
    """Return what this machine has, as plain values; imports no library of a GPU's."""
    import edge_sdk
    from edge_sdk.evaluation.conditions import cpu_model, usable_cores
    from edge_sdk.runtime.kernels import instruction_set
    from edge_sdk.runtime.sources.decoders import hardware_decoders

    features = _cpu_features()
    return {
        "edge_sdk": edge_sdk.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu": {
            "model": cpu_model(),
            "cores": usable_cores(),
            "features": features,
            "kernels": instruction_set(),
            "int8": _int8(features),
        },
        "gpu": _gpu(),
        "packages": [_package(*entry) for entry in _PACKAGES],
        "onnxruntime_providers": _providers(),
        "opencv": _opencv(),
        "gstreamer": _gstreamer(),
        "video_decoders": hardware_decoders(),
        "cameras": _cameras(),
    }


def _cpu_features() -> list[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            return [name for name in _FEATURES if name in value.split()]
    return []


def _int8(features: list[str]) -> str:
    fast = [name for name in features if "vnni" in name or name in ("amx_int8", "asimddp", "i8mm")]
    if fast:
        return f"fast ({', '.join(fast)})"
    if not features:
        return "unknown"
    return "without dot-product instructions: half the gain, and 7-bit weights"


def _gpu() -> dict[str, Any]:
    """Return what is known of NVIDIA GPUs; only the driver is asked, which needs no package."""
    from edge_sdk.cuda_driver import gpus
    from edge_sdk.errors import EdgeError

    driver = Path("/proc/driver/nvidia/version")
    jetson = Path("/etc/nv_tegra_release")
    try:
        found: list[str] | str = [f"{gpu.index}: {gpu.name}, {gpu.capability}" for gpu in gpus()]
    except EdgeError as error:
        found = str(error)
    return {
        "devices": found,
        "cuda_driver": driver.read_text().splitlines()[0] if driver.is_file() else None,
        "nvidia_smi": shutil.which("nvidia-smi"),
        "jetson": jetson.read_text().splitlines()[0] if jetson.is_file() else None,
        "trtexec": shutil.which("trtexec"),
    }


def _package(name: str, extra: str, purpose: str) -> dict[str, Any]:
    from edge_sdk.evaluation.conditions import version_of

    version = version_of(name)
    hint = None if version else f"pip install 'edge-sdk[{extra}]'"
    return {"package": name, "version": version, "for": purpose, "install": hint}


def _providers() -> list[str]:
    if importlib.util.find_spec("onnxruntime") is None:
        return []
    import onnxruntime

    return list(onnxruntime.get_available_providers())


def _opencv() -> dict[str, Any]:
    """Return what this build of OpenCV can open and show."""
    if importlib.util.find_spec("cv2") is None:
        return {}
    import cv2

    build = dict(_build_lines(cv2.getBuildInformation()))
    registry = cv2.videoio_registry
    gui = build.get("GUI", "NONE")
    return {
        "version": cv2.__version__,
        "files": _backends(registry, registry.getStreamBackends()),
        "cameras": _backends(registry, registry.getCameraBackends()),
        "ffmpeg": build.get("FFMPEG", "NO"),
        "gstreamer": build.get("GStreamer", "NO"),
        "gui": "none: install opencv-python in place of opencv-python-headless for windows"
        if gui == "NONE"
        else gui or "yes",
    }


def _backends(registry: Any, backends: Sequence[int]) -> list[str]:
    """Return the names of those that are built in or whose plugin is there."""
    usable = [registry.getBackendName(one) for one in backends if registry.hasBackend(one)]
    return list(dict.fromkeys(usable))


def _build_lines(text: str) -> list[tuple[str, str]]:
    parts = [line.strip().partition(":") for line in text.splitlines() if ":" in line]
    return [(key, value.strip()) for key, _, value in parts]


def _gstreamer() -> dict[str, Any]:
    """Return what gst:// and csi:// sources find here."""
    from edge_sdk.runtime.sources.csi import PIPELINES
    from edge_sdk.runtime.sources.decoders import JETSON, has_element

    return {
        "gst-launch-1.0": shutil.which("gst-launch-1.0"),
        **{name: has_element(name) for name in (*PIPELINES, JETSON)},
    }


def _cameras() -> list[dict[str, str]]:
    """Return the video devices that the kernel lists; none is opened."""
    devices = sorted(Path("/sys/class/video4linux").glob("video*"))
    return [
        {"device": f"/dev/{device.name}", "name": (device / "name").read_text().strip()}
        for device in devices
    ]


def _show(found: dict[str, Any]) -> None:
    results.print(table(found["packages"], title="packages"))
    rows = []
    for name, value in found.items():
        if name == "packages":
            continue
        if isinstance(value, dict):
            rows += [{"what": f"{name}: {key}", "value": cell(one)} for key, one in value.items()]
        else:
            rows.append({"what": name, "value": cell(value)})
    results.print(table(rows, title="machine"))
