"""What a family is recognized by: the input and the shapes of the outputs."""

from __future__ import annotations

from dataclasses import dataclass

from edge_sdk.errors import EdgeError

STRIDES = (8, 16, 32)


@dataclass(frozen=True)
class Signature:
    """A model's input and outputs at batch size 1.

    Attributes
    ----------
    input_name, input_size : of the only input, [1, 3, height, width].
    outputs : name -> shape, in the graph's order.
    """

    input_name: str
    input_size: tuple[int, int]
    outputs: dict[str, tuple[int, ...]]

    @property
    def num_anchors(self) -> int:
        """Cells at strides 8, 16 and 32."""
        height, width = self.input_size
        return sum((height // stride) * (width // stride) for stride in STRIDES)

    def only_output(self) -> tuple[str, tuple[int, ...]] | None:
        """Return name and shape of the output if it is the only one, of rank 3."""
        items = list(self.outputs.items())
        return items[0] if len(items) == 1 and len(items[0][1]) == 3 else None


def check_input_size(size: tuple[int, int]) -> None:
    """Refuse what the strides do not divide.

    Raises
    ------
    EdgeError
        If height or width is not a positive multiple of 32.
    """
    if any(side < 32 or side % 32 for side in size):
        raise EdgeError(
            f"The input size {size[0]}x{size[1]} (height x width) is not a multiple of 32 in "
            "both: choose one that is, such as 640x640."
        )
