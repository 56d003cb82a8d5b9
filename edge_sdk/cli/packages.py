"""Which extra brings a package that a command did not find."""

from __future__ import annotations

from edge_sdk.errors import MissingExtra

_BROUGHT = {
    "yaml": ("PyYAML", "cli"),
    "cv2": ("opencv-python-headless", "camera"),
    "matplotlib": ("matplotlib", "convert"),
    "onnx": ("onnx", "convert"),
    "onnx_graphsurgeon": ("onnx-graphsurgeon", "convert"),
    "onnxruntime": ("onnxruntime", "convert"),
    "polygraphy": ("polygraphy", "convert"),
    "scipy": ("scipy", "convert"),
    "threadpoolctl": ("threadpoolctl", "convert"),
    "onnxscript": ("onnxscript", "train"),
    "safetensors": ("safetensors", "train"),
    "torch": ("torch", "train"),
}
"""Module -> its package, and the extra of ours that brings it."""
_NEEDS = {"train": "train", "finetune": "train", "qat": "train"}
"""Command -> the extra that brings all it needs, whatever is missed first."""


def missing(error: ModuleNotFoundError, command: str) -> MissingExtra | None:
    """Return what to tell a user whose command found no module, None if it is none of ours."""
    module = (error.name or "").partition(".")[0]
    if module not in _BROUGHT:
        return None
    package, extra = _BROUGHT[module]
    return MissingExtra(package, _NEEDS.get(command, extra), f"`edge-sdk {command}`")
