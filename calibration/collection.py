"""Running the float model over the images and counting what its tensors hold."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_sdk.calibration.cache import earlier, partial_file
from edge_sdk.calibration.calibration import Calibration
from edge_sdk.calibration.observers import Histogram
from edge_sdk.calibration.pictures import Picture, address, pictures
from edge_sdk.errors import EdgeError
from edge_sdk.outputs import check_output
from edge_sdk.progress import Progress, silent

if TYPE_CHECKING:
    import onnx

    from edge_sdk.head_spec import HeadSpec

_SAVE_EVERY = 8
"""Images between two saves of the unfinished state."""


def calibrate(
    model_path: Path | str,
    images: Path | str,
    output: Path | str,
    *,
    limit: int = 256,
    progress: Progress = silent,
) -> Calibration:
    """Count the activations of a float model over representative images.

    The state is saved every few images beside the output, so that a run which was interrupted
    goes on where it stopped. Where the output already is the calibration of this model over
    these images nothing is run (`reused` is then the number of all images).

    Parameters
    ----------
    model_path : a float ONNX file of `edge-sdk convert`.
    images : a folder of images (with all below it), a glob, one file, or `test://street?...`.
    output : the calibration file to write.
    limit : use at most so many images, spread evenly over the source.
    progress : told of each image.

    Returns
    -------
    The calibration, with a sentence for each image that was left out.

    Raises
    ------
    EdgeError
        If the model or the source of images cannot be used, if no image can be read, or if a
        tensor holds NaN or infinite values.
    """
    from edge_sdk.converters.model_file import head_spec_of, load_model

    output = Path(output)
    check_output(output, model_path, images)
    model = load_model(model_path)
    spec = head_spec_of(model)
    wanted, skipped = _distinct(pictures(images, limit))
    fresh = _empty(model, spec)
    state = earlier(output, fresh, wanted)
    stale = state.source != address(images)
    state = replace(state, source=address(images))
    reused = len(state.images)
    state, unreadable = _count(model, spec, state, wanted, output, progress)
    skipped += unreadable
    if not state.images:
        raise EdgeError(
            f"None of the {len(skipped)} images in {images} can be used. The first: {skipped[0]}"
        )
    partial = partial_file(output)
    if len(state.images) > reused or stale or partial.exists() or not output.is_file():
        state.save(output)
    partial.unlink(missing_ok=True)
    return replace(state, skipped=tuple(skipped), reused=reused)


def _distinct(candidates: Sequence[Picture]) -> tuple[dict[str, Picture], list[str]]:
    """Return the pictures by their digest, and remarks on the copies and the unreadable."""
    distinct: dict[str, Picture] = {}
    remarks = []
    for picture in candidates:
        try:
            digest = picture.digest()
        except EdgeError as error:
            remarks.append(str(error))
            continue
        if digest in distinct:
            remarks.append(f"{picture.name} is a copy of {distinct[digest].name}: counted once.")
        else:
            distinct[digest] = picture
    return distinct, remarks


def _empty(model: onnx.ModelProto, spec: HeadSpec) -> Calibration:
    from edge_sdk.converters.model_file import model_key
    from edge_sdk.converters.quantization_points import quantization_points

    preprocessing = {"input_size": spec.input_size, **asdict(spec.preprocessing)}
    points = quantization_points(model)
    if not points.activations:
        raise EdgeError(
            "The model has no convolution with constant weights, so there is nothing to calibrate."
        )
    histograms = {
        name: Histogram(signed, peaks=np.zeros(points.channels.get(name, 0), np.float32))
        for name, signed in points.activations.items()
    }
    return Calibration(model_key(model), json.dumps(preprocessing), (), histograms)


def _count(
    model: onnx.ModelProto,
    spec: HeadSpec,
    state: Calibration,
    wanted: dict[str, Picture],
    output: Path,
    progress: Progress,
) -> tuple[Calibration, list[str]]:
    """Count the wanted pictures that `state` lacks; return the new state and remarks."""
    from edge_sdk.calibration.observed_model import ObservedModel

    observed = None
    skipped = []
    todo = {digest: picture for digest, picture in wanted.items() if digest not in state.images}
    before = len(wanted) - len(todo)
    for done, (digest, picture) in enumerate(todo.items(), start=before):
        progress(done, len(wanted), "calibrating")
        try:
            image = picture.read()
        except EdgeError as error:
            skipped.append(str(error))
            continue
        observed = observed or ObservedModel(model, spec, state.histograms)
        observed.observe(image, picture.name)
        state = replace(state, images=(*state.images, digest))
        if len(state.images) % _SAVE_EVERY == 0:
            state.save(partial_file(output))
    progress(len(wanted), len(wanted), "calibrating")
    return state, skipped
