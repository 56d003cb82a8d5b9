"""The proof that a converted network computes what the original one does.

The error of a tensor is max|d| / max|reference|, the worst over all images. The reference is
the original network, branches and batch normalizations unfused, in float64. Each fused block
gets the original's input of that block; the outputs are those of the whole converted network.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from edge_sdk.converters.passes.fuse_branches import Block
from edge_sdk.converters.reference import convolve, run_float32, run_float64
from edge_sdk.errors import EdgeError
from edge_sdk.head_spec import HeadSpec
from edge_sdk.images import list_images, read_image

METADATA_KEY = "edge_sdk.proof"
TOLERANCES = {"float64": 1e-10, "float32": 1e-5}
REAL_IMAGES = 4
Images = dict[str, npt.NDArray[np.float32]]
Original = Callable[[npt.NDArray[np.float32]], dict[str, npt.NDArray[np.float64]]]
"""The original network in float64: images -> outputs by name."""

Errors = dict[str, dict[str, float]]
"""Layer or output -> type of the arithmetic -> error."""


@dataclass(frozen=True)
class Proof:
    """Errors of every fused block and of every output.

    Attributes
    ----------
    images : what was looked at.
    blocks, outputs : name -> {"float64": error, "float32": error}.
    tolerances : the largest errors allowed.
    """

    images: tuple[str, ...]
    blocks: Errors
    outputs: Errors
    tolerances: dict[str, float] = field(default_factory=lambda: dict(TOLERANCES))

    def worst(self, kind: str) -> float:
        """Return the largest error in "float64" or "float32"; 0 if nothing was fused."""
        every = [*self.blocks.values(), *self.outputs.values()]
        return max((errors[kind] for errors in every if kind in errors), default=0.0)

    @property
    def holds(self) -> bool:
        """Whether every error is within its tolerance (a NaN is not)."""
        every = [*self.blocks.values(), *self.outputs.values()]
        return all(
            error <= self.tolerances[kind] for errors in every for kind, error in errors.items()
        )

    def require(self) -> None:
        """Refuse a conversion that is not proved.

        Raises
        ------
        EdgeError
            With the name and error of the worst tensor.
        """
        if self.holds:
            return
        name, kind, error = max(
            (
                (name, kind, error)
                for errors in (self.blocks, self.outputs)
                for name, kinds in errors.items()
                for kind, error in kinds.items()
                if not error <= self.tolerances[kind]
            ),
            key=lambda item: (np.isnan(item[2]), item[2] / self.tolerances[item[1]]),
        )
        raise EdgeError(
            f"The converted network differs from the original one: {name} by {error:.2g} in "
            f"{kind}, where {self.tolerances[kind]:g} is allowed. Nothing was written; do the "
            "weights hold infinite or enormous values?"
        )

    def to_json(self) -> str:
        """Return the proof as one JSON object."""
        worst = {kind: self.worst(kind) for kind in self.tolerances}
        return json.dumps({**asdict(self), "worst": worst, "holds": self.holds}, indent=1)


@dataclass
class Comparison:
    """Compares converted networks with one original, on a set of images."""

    original: onnx.ModelProto
    images: Images
    spec: HeadSpec
    network: Original | None = None

    def __post_init__(self) -> None:
        self.references: dict[str, dict[str, npt.NDArray[Any]]] = {}

    def blocks(
        self, blocks: Sequence[Block], progress: Callable[[int], None]
    ) -> tuple[Errors, dict[str, float]]:
        """Run the original in float64; return the error of each block on its own input.

        Also returned: tensor -> largest magnitude over all images.
        """
        by_output = {block.output: block for block in blocks}
        last_use = {block.source: block.output for block in blocks}
        errors: Errors = {block.layer: dict.fromkeys(TOLERANCES, 0.0) for block in blocks}
        ranges: dict[str, float] = {}
        sources: dict[str, npt.NDArray[np.float64]] = {}

        def visit(name: str, value: npt.NDArray[Any]) -> None:
            if value.dtype != np.float64:
                return
            ranges[name] = max(ranges.get(name, 0.0), float(np.abs(value).max(initial=0.0)))
            if name in last_use:
                sources[name] = value
            block = by_output.get(name)
            if block is None:
                return
            for kind in TOLERANCES:
                result = convolve(sources[block.source].astype(kind), block.conv)
                errors[block.layer][kind] = worse(errors[block.layer][kind], error(result, value))
            if last_use[block.source] == name:
                del sources[block.source]

        for done, (label, image) in enumerate(self.images.items(), start=1):
            outputs = run_float64(self.original, {self.spec.input_name: image}, visit)
            self.references[label] = self.network(image) if self.network else outputs
            progress(done)
        return errors, ranges

    def outputs(self, run: Callable[[Images], Mapping[str, npt.NDArray[Any]]]) -> dict[str, float]:
        """Return output -> error of another way to run the network, over all images."""
        errors = dict.fromkeys(self.spec.output_names, 0.0)
        for label, image in self.images.items():
            results = run({self.spec.input_name: image})
            for name in errors:
                errors[name] = worse(
                    errors[name], error(results[name], self.references[label][name])
                )
        return errors

    def reference_float32(self) -> None:
        """Take the original as ONNX Runtime runs it for the reference: for unfused graphs."""
        for label, image in self.images.items():
            self.references[label] = run_float32(self.original, {self.spec.input_name: image})


def error(result: npt.NDArray[Any], reference: npt.NDArray[Any]) -> float:
    """Return max|d| / max|reference|; NaN where either is not finite."""
    if result.shape != reference.shape:
        return float("nan")
    difference = float(np.abs(result - reference).max(initial=0.0))
    scale = float(np.abs(reference).max(initial=0.0))
    return difference / scale if scale else difference


def worse(one: float, other: float) -> float:
    """Return the larger error; NaN is the largest."""
    return float(np.maximum(one, other))


def proof_images(spec: HeadSpec, size: tuple[int, int], folder: Path | str | None = None) -> Images:
    """Return network inputs [1, 3, H, W]: noise, and real images or drawn scenes.

    Parameters
    ----------
    spec : its channel order and scale are applied.
    size : (height, width) to resize to.
    folder : images to take up to four from, evenly spaced by name; scenes are drawn without.

    Raises
    ------
    EdgeError
        If the folder has no image that OpenCV can read.
    """
    generator = np.random.default_rng(0)
    frames = {"random": generator.integers(0, 256, (*size, 3), np.uint8)}
    if folder is None:
        frames |= {f"scene {i}": _scene(generator, size) for i in range(2)}
    else:
        frames |= _photographs(Path(folder), size)
    step = -1 if spec.preprocessing.channel_order == "rgb" else 1
    scale = np.float32(spec.preprocessing.scale)
    return {
        label: np.ascontiguousarray(
            frame[None, :, :, ::step].transpose(0, 3, 1, 2).astype(np.float32) * scale
        )
        for label, frame in frames.items()
    }


def _scene(generator: np.random.Generator, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Draw a gradient with rectangles in front of it."""
    height, width = size
    ramp = np.linspace(40, 200, height)[:, None, None] + generator.uniform(-40, 40, 3)
    frame = np.broadcast_to(ramp, (height, width, 3)).copy()
    for _ in range(20):
        top, left = generator.integers(0, height), generator.integers(0, width)
        tall, wide = generator.integers(4, height // 2), generator.integers(4, width // 2)
        frame[top : top + tall, left : left + wide] = generator.uniform(0, 255, 3)
    return np.clip(frame, 0, 255).astype(np.uint8)


def _photographs(folder: Path, size: tuple[int, int]) -> dict[str, npt.NDArray[np.uint8]]:
    import cv2

    paths = list_images(folder)
    chosen = {paths[i] for i in np.linspace(0, len(paths) - 1, REAL_IMAGES).astype(int)}
    return {
        path.name: np.asarray(cv2.resize(read_image(path), size[::-1]), np.uint8)
        for path in sorted(chosen)
    }


def run_with(model: onnx.ModelProto, kind: str) -> Callable[[Images], Mapping[str, Any]]:
    """Return a way to run a model: "float64" with numpy or "float32" with ONNX Runtime."""
    run = run_float64 if kind == "float64" else run_float32
    return lambda feeds: run(model, feeds)
