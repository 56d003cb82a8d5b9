"""YOLO-NAS-S on CPU engines: ours against ONNX Runtime FP32, NNCF and ONNX Runtime's quantizer.

cpu_engines.py FOLDER [--threads 1] [--repetitions 30]

The first run makes the float model (random weights, one convolution a block, cut at the prediction
convolutions) and our two lowerings in FOLDER. The peers' files are made once by peers.py, from the
same model and frames. All engines take turns.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from measure import conditions, interleaved, report
from peers import NNCF, QUANTIZER
from random_yolo_nas import write

from edge_sdk.calibration import calibrate
from edge_sdk.converters.engines import write_engine
from edge_sdk.converters.layer_groups import layer_groups
from edge_sdk.converters.lowering import TARGETS, lowering
from edge_sdk.converters.model_file import head_spec_of, load_model
from edge_sdk.head_spec import HeadSpec
from edge_sdk.runtime import open_engine
from edge_sdk.runtime.letterbox import Letterbox
from edge_sdk.runtime.sources.street import Street

FRAMES = 16
BASE = "ONNX Runtime FP32"
ENGINES = {
    BASE: ("onnxruntime", "model.onnx", None),
    "OpenVINO FP32": ("openvino", "model.onnx", None),
    "OpenVINO, ours": ("openvino", "openvino/model.xml", "OpenVINO, NNCF"),
    "OpenVINO, NNCF": ("openvino", NNCF, None),
    "ONNX Runtime, ours": ("onnxruntime", "onnxruntime/model.onnx", "ONNX Runtime, its own U8S8"),
    "ONNX Runtime, its own U8S8": ("onnxruntime", QUANTIZER, None),
}
"""Name -> target, file, the engine to be compared with."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repetitions", type=int, default=30)
    arguments = parser.parse_args()
    prepare(arguments.folder)
    rows = measure(arguments.folder, arguments.threads, arguments.repetitions)
    report("cpu_engines", rows, {
        "model": "YOLO-NAS-S, random weights, 640 x 640, cut at the prediction convolutions",
        "repetitions": arguments.repetitions,
        **conditions(arguments.threads),
    })  # fmt: skip


def prepare(folder: Path) -> None:
    """Make the float model, the frames and our engines, where they are missing."""
    if (folder / "images.npy").is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "model.onnx", "s")
    model = load_model(folder / "model.onnx")
    images(folder, head_spec_of(model))
    calibration = calibrate(folder / "model.onnx", folder / "frames", folder / "model.calib")
    layers = frozenset(layer for group in layer_groups(model) for layer in group.layers)
    for target in TARGETS:
        (folder / target).mkdir(exist_ok=True)
        table = calibration.quantization_table(model, target)
        write_engine(target, lowering(target)(model, table, layers), folder / target)


def images(folder: Path, spec: HeadSpec) -> None:
    """Write frames of the test camera, as pictures for us and as network inputs for the peers."""
    (folder / "frames").mkdir(exist_ok=True)
    letterbox = Letterbox(spec.preprocessing, spec.input_size)
    inputs = np.zeros((FRAMES, 3, *spec.input_size), np.float32)
    for index in range(FRAMES):
        frame = Street(index, split="calibration").frame(0).image
        cv2.imwrite(str(folder / "frames" / f"{index:02}.png"), frame)
        letterbox(frame, inputs[index])
    np.save(folder / "images.npy", inputs)


def measure(folder: Path, threads: int, repetitions: int) -> list[dict[str, Any]]:
    spec = head_spec_of(load_model(folder / "model.onnx"))
    present = {name: entry for name, entry in ENGINES.items() if (folder / entry[1]).is_file()}
    if len(present) < len(ENGINES):
        print(f"Without the peers: make them with peers.py {folder} in an environment of theirs.")
    engines = {
        name: open_engine(folder / file, target, spec, threads)
        for name, (target, file, _) in present.items()
    }
    image = np.load(folder / "images.npy", mmap_mode="r")[:1]
    workers = {name: engine.worker() for name, engine in engines.items()}
    outputs = {}
    for name, worker in workers.items():
        worker.input[...] = image
        outputs[name] = [np.array(output) for output in worker()]
    times = interleaved(workers, repetitions=repetitions)
    return [
        {
            "engine": name,
            **times[name]._asdict(),
            "vs_fp32": times[BASE].median / times[name].median,
            "vs_peer": times[peer].median / times[name].median if peer in times else None,
            "sqnr_db": sqnr(outputs[BASE], outputs[name]),
        }
        for name, (_, _, peer) in present.items()
    ]


def sqnr(exact: list[np.ndarray], other: list[np.ndarray]) -> float | None:
    """Decibels over all outputs, each about its mean so that biases do not count as signal."""
    signal = sum(float(np.square(a - a.mean()).sum() / a.var()) for a in exact if a.var())
    noise = sum(
        float(np.square(a - b).sum() / a.var())
        for a, b in zip(exact, other, strict=True)
        if a.var()
    )
    return 10 * float(np.log10(signal / noise)) if noise else None


if __name__ == "__main__":
    main()
