"""Train the foundation checkpoint, and write it beside this script.

    python weights/foundation.py BCCD [--runs DIR]

BCCD is a folder with the data set of that name. The network of the test camera goes on with
frames of it and the training images of BCCD, a picture of each in turn; an interrupted training
goes on where it was. `n_foundation.safetensors` (float16, with all branches) is what
`edge-sdk finetune` begins with.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch
from train import HERE, RUNS, run

from edge_sdk.converters.checkpoints import load_checkpoint
from edge_sdk.training import Recipe, half_checkpoint
from edge_sdk.training.checkpoint import save_weights

START = HERE / "n_street.safetensors"
RECIPE = Recipe(
    data=("test://street", "bccd"), model="n", start=START.name, input_size=(256, 384), steps=375,
    batch=8, lr=1e-3, warmup=37, seed=0, bf16=True, validations=3,
)  # fmt: skip
"""As the checkpoint names it: without folders of the machine that it was trained on."""


def main() -> None:
    """Train what is not trained yet, and write the checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bccd", help="folder of the data set BCCD, as Pascal VOC")
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder of the trainings")
    parser.add_argument("--threads", type=int, default=1, help="another number rounds otherwise")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    here = replace(RECIPE, data=("test://street", arguments.bccd), start=str(START))
    trained = run(here, arguments.runs / "n_foundation")
    checkpoint = load_checkpoint(trained.weights)
    assert checkpoint.spec is not None
    facts = {"map": trained.map, "map50": trained.map50}
    with TemporaryDirectory() as folder:
        whole = Path(folder) / "foundation.safetensors"
        save_weights(whole, checkpoint.model, RECIPE, checkpoint.spec, facts)
        half_checkpoint(whole, HERE / "n_foundation.safetensors")


if __name__ == "__main__":
    main()
