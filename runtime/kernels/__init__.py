"""The kernels in C: which instruction set they use, and the objects that run them.

Users want `edge_sdk.runtime.letterbox.Letterbox`, `edge_sdk.runtime.postprocess.Postprocessor`
and `edge_sdk.runtime.tracker.Tracker`, which check what these objects do not.
"""

from __future__ import annotations

from edge_sdk.runtime.kernels._kernels import (
    BINS,
    LEVELS,
    Follow,
    Letterboxer,
    Postprocess,
    assign,
    choose,
    supported,
)
from edge_sdk.runtime.kernels._kernels import instruction_set as _instruction_set

from edge_sdk.errors import EdgeError

__all__ = [
    "BINS", "LEVELS", "Follow", "Letterboxer", "Postprocess", "assign", "instruction_set",
    "instruction_sets", "set_instruction_set",
]  # fmt: skip


def instruction_set() -> str:
    """Name the instruction set that the kernels use: portable, avx2, avx512 or neon."""
    return str(_instruction_set())


def instruction_sets() -> tuple[str, ...]:
    """Name the instruction sets that this machine can run, best first."""
    return tuple(supported())


def set_instruction_set(name: str | None) -> None:
    """Make all kernels of this process use an instruction set; None stands for the best one.

    Results do not depend on it, only speed does.

    Raises
    ------
    EdgeError
        If this machine does not have it.
    """
    if not choose(name):
        raise EdgeError(
            f"The instruction set {name!r} cannot be used on this machine: choose one of "
            f"{', '.join(instruction_sets())}, or None for the best."
        )
