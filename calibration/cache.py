"""Work that need not be done twice.

An earlier calibration of the same graph with the same preprocessing over some of the images
is continued, not begun again: the finished file at the output, or the partial one beside it
that an interrupted run left. Histograms do not depend on the order of the images, so the
result is the one of a run from the beginning.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from edge_sdk.calibration.calibration import Calibration
from edge_sdk.errors import EdgeError


def partial_file(output: Path) -> Path:
    """Return where the state of an unfinished calibration is kept."""
    return output.with_name(f"{output.name}.partial")


def earlier(output: Path, fresh: Calibration, digests: Collection[str]) -> Calibration:
    """Return the earlier calibration that covers most of the images, or else `fresh`.

    Parameters
    ----------
    output : the file that the finished calibration will be.
    fresh : an empty calibration of the model to be calibrated, with every tensor's histogram.
    digests : SHA-256 of all the images that are wanted.
    """
    found = [
        calibration
        for path in (output, partial_file(output))
        if (calibration := _read(path)) and _continues(calibration, fresh, digests)
    ]
    return max(found, key=lambda calibration: len(calibration.images), default=fresh)


def _read(path: Path) -> Calibration | None:
    """Return the calibration at a path; None where there is none, or none that can be used."""
    try:
        return Calibration.load(path)
    except EdgeError:
        return None


def _continues(calibration: Calibration, fresh: Calibration, digests: Collection[str]) -> bool:
    return (
        calibration.model_key == fresh.model_key
        and calibration.preprocessing == fresh.preprocessing
        and _kinds(calibration) == _kinds(fresh)
        and set(calibration.images) <= set(digests)
    )


def _kinds(calibration: Calibration) -> dict[str, tuple[bool, int]]:
    return {name: histogram.kind for name, histogram in calibration.histograms.items()}
