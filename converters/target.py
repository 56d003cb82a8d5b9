"""Names of targets: an engine library, and for some of them what the engine is built for.

openvino, onnxruntime    the CPU of this machine
tensorrt                 the GPU of this machine
tensorrt-rtx:sm75        GPUs of a compute capability, without having one here
tensorrt:remote          a GPU elsewhere: the bundle gets the graph and the commands
"""

from __future__ import annotations

from dataclasses import dataclass

from edge_sdk.errors import EdgeError

LIBRARIES = ("openvino", "onnxruntime", "tensorrt", "tensorrt-rtx")
REMOTE = "remote"
_ON_THE_DEVICE = {"sm72": "Jetson Xavier", "sm87": "Jetson Orin"}
"""Capabilities that no library builds for elsewhere, and that TensorRT-RTX does not know."""
_CPU = frozenset({"openvino", "onnxruntime"})


@dataclass(frozen=True)
class Target:
    """A target, taken apart.

    Attributes
    ----------
    library : one of `LIBRARIES`.
    variant : what follows the colon, "" for nothing.
    """

    library: str
    variant: str = ""

    @classmethod
    def parse(cls, name: str) -> Target:
        """Read the name of a target.

        Raises
        ------
        EdgeError
            If there is no such target.
        """
        library, _, variant = name.partition(":")
        target = cls(library, variant)
        if library not in LIBRARIES or (":" in name) != bool(variant) or not target._is_known():
            raise EdgeError(
                f"There is no target {name!r}: choose one of openvino, onnxruntime, tensorrt, "
                "tensorrt:remote, or tensorrt-rtx:smNN with the compute capability of the GPU, "
                "such as tensorrt-rtx:sm75."
            )
        if jetson := _ON_THE_DEVICE.get(variant):
            raise EdgeError(
                f"There is no target {name!r}: a {jetson} ({variant}) builds its engines itself. "
                "Use tensorrt:remote, whose bundle carries the graph and the commands for it."
            )
        return target

    def _is_known(self) -> bool:
        if self.library == "tensorrt-rtx":
            return self.variant.startswith("sm") and self.variant[2:].isdigit()
        return self.variant in (("", REMOTE) if self.library == "tensorrt" else ("",))

    @property
    def name(self) -> str:
        """The name as users write it."""
        return f"{self.library}:{self.variant}" if self.variant else self.library

    @property
    def folder(self) -> str:
        """The name as a folder of bundles."""
        return self.name.replace(":", "-")

    @property
    def lowering(self) -> str:
        """The name of the module that lowers for it."""
        return "tensorrt" if self.library == "tensorrt-rtx" else self.library

    @property
    def builder(self) -> str:
        """The name of the module that builds its engines."""
        return self.library.replace("-", "_")

    @property
    def on_cpu(self) -> bool:
        """Whether its engines run on the CPU."""
        return self.library in _CPU
