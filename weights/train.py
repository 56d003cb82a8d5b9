"""Train the committed networks on the test camera, and write the files beside this script.

    python weights/train.py [--runs DIR] [--blocks qarepvgg repvgg]

Both networks are trained from the same recipe, the QARepVGG network then goes on with a larger
input; an interrupted training goes on where it was. `n_street.safetensors` (float16, with all
branches) and `n_street.onnx` (the same weights, not fused) are of the QARepVGG network.
`python weights/figures.py` then measures all of them.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch

from edge_sdk.cli.console import progress_bar
from edge_sdk.converters.checkpoints import load_checkpoint
from edge_sdk.converters.export import export
from edge_sdk.converters.model_file import save_model
from edge_sdk.converters.passes.half_weights import half_weights
from edge_sdk.training import Recipe, Trained, half_checkpoint, train

HERE = Path(__file__).parent
RUNS = Path("runs")
BLOCKS = ("qarepvgg", "repvgg")
SMALL = Recipe(
    data="test://street", model="n", input_size=(224, 384), steps=3000, batch=8, lr=1e-3,
    warmup=100, seed=0, bf16=True, validations=6, validation_images=120,
)  # fmt: skip
"""Of both networks, so that their blocks can be compared."""
LARGE = replace(SMALL, input_size=(288, 512), steps=2800, validations=7)
"""Of the network that is published, from the weights of the small recipe."""


def run_folder(runs: Path, block: str, recipe: Recipe = SMALL) -> Path:
    """Return where the training of a block lies."""
    return runs / f"n_street_{block}_{recipe.input_size[0]}"


def main() -> None:
    """Train what is not trained yet, and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder of the trainings")
    parser.add_argument("--blocks", nargs="+", choices=BLOCKS, default=BLOCKS)
    parser.add_argument("--threads", type=int, default=1, help="another number rounds otherwise")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for block in arguments.blocks:
        small = run(replace(SMALL, block=block), run_folder(arguments.runs, block))
        if block == "qarepvgg":
            recipe = replace(LARGE, start=str(small.weights))
            large = run(recipe, run_folder(arguments.runs, block, LARGE))
            write_weights(large.weights, HERE)


def run(recipe: Recipe, folder: Path) -> Trained:
    """Train, or go on with a training."""
    with progress_bar() as progress:
        trained = train(recipe, folder, progress=progress)
    print(f"mAP50-95 {trained.map:.3f} on the validation frames, {trained.weights}")
    return trained


def write_weights(trained: Path, folder: Path) -> None:
    """Write the float16 checkpoint and the unfused ONNX with the same weights."""
    half_checkpoint(trained, folder / "n_street.safetensors")
    checkpoint = load_checkpoint(folder / "n_street.safetensors")
    spec = checkpoint.spec
    assert spec is not None
    unfused = export(checkpoint.model, spec.class_names, spec.input_size)
    save_model(half_weights(unfused), folder / "n_street.onnx")


if __name__ == "__main__":
    main()
