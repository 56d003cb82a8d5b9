"""One epoch of YOLO-NAS-N at 320 x 320 on 300 images, against bare forward and backward passes.

    python benchmarks/training.py [--threads N] [--images N] [--epochs N] [--bf16]

Both sides train the same network on the same batches, in turn. The epoch changes the images (which
are in memory, as in every epoch but the first), computes the loss, steps the optimizer, averages
the weights and writes the log; the bare side has its batches ready and goes back from the sum of
the outputs. The evaluation after an epoch is on neither side. The images are frames of the test
camera, 640 x 480, as JPEG.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import cv2
import torch
from measure import conditions, interleaved, report

from edge_sdk.datasets.writer import write_dataset
from edge_sdk.progress import silent
from edge_sdk.training import Recipe
from edge_sdk.training.batches import Batch
from edge_sdk.training.trainer import Trainer

INPUT = (320, 320)
BATCH = 8


class Epochs:
    """Epochs of a training, one a call."""

    def __init__(self, data: Path, steps: int, epochs: int, bf16: bool, output: Path) -> None:
        recipe = Recipe(str(data), input_size=INPUT, steps=steps * epochs, batch=BATCH, bf16=bf16)
        self.trainer = Trainer(recipe, output, lambda row: None)
        self._steps = steps
        self._stop = 0

    def __call__(self) -> None:
        """Train for an epoch."""
        start, self._stop = self._stop, self._stop + self._steps
        batches = self.trainer.batches.ahead(start, self._stop)
        self.trainer.train_until(self._stop, batches, silent)


class Bare:
    """Forward and backward of batches that are ready."""

    def __init__(self, trainer: Trainer, batches: list[Batch], bf16: bool) -> None:
        self._model = trainer.model
        self._batches = batches
        self._bf16 = bf16

    def __call__(self) -> None:
        """Go through all batches once."""
        for batch in self._batches:
            with torch.autocast("cpu", torch.bfloat16, enabled=self._bf16):
                classes, distances = self._model(batch.network_input())
            sum(output.float().sum() for output in (*classes, *distances)).backward()
            self._model.zero_grad(set_to_none=True)


def write_data(folder: Path, images: int) -> Path:
    """Write frames as a data set whose training images are also those to validate on."""
    write_dataset("test://street?size=640x480", folder, frames=images, image_format="jpg")
    yaml = (folder / "data.yaml").read_text()
    (folder / "data.yaml").write_text(f"train: images/val\n{yaml}")
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--bf16", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(1)
    steps = -(-arguments.images // BATCH)
    with TemporaryDirectory() as folder:
        data = write_data(Path(folder) / "data", arguments.images)
        epoch = Epochs(data, steps, arguments.epochs, arguments.bf16, Path(folder) / "run")
        batches = [epoch.trainer.batches.batch(step) for step in range(steps)]
        bare = Bare(epoch.trainer, batches, arguments.bf16)
        timings = interleaved(
            {"one epoch": epoch, "bare forward and backward": bare},
            repetitions=arguments.epochs, warmup=0,
        )  # fmt: skip
    floor = timings["bare forward and backward"].median
    rows = [
        {
            "what": name,
            "seconds": round(timing.median / 1000, 2),
            "p10": round(timing.p10 / 1000, 2),
            "p90": round(timing.p90 / 1000, 2),
            "this / bare": round(timing.median / floor, 3),
        }
        for name, timing in timings.items()
    ]
    report(
        "training",
        rows,
        {
            **conditions(threads=arguments.threads),
            "network": "YOLO-NAS-N, 5 classes",
            "input": f"{arguments.images} images of 640 x 480, batches of {BATCH} at "
            f"{INPUT[0]} x {INPUT[1]}, {'bfloat16' if arguments.bf16 else 'float32'}",
            "repetitions": arguments.epochs,
        },
    )


if __name__ == "__main__":
    main()
