"""Which class of a data set is which class of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_sdk.detections import Detections
from edge_sdk.errors import EdgeError


@dataclass(frozen=True)
class ClassMatch:
    """How a model's classes are renumbered to a data set's.

    Attributes
    ----------
    ids : int32 [classes of the model], the data set's class, or -1.
    names : the data set's names.
    remarks : sentences on what did not match.
    """

    ids: npt.NDArray[np.int32]
    names: tuple[str, ...]
    remarks: tuple[str, ...]

    def renumber(self, found: Detections) -> Detections:
        """Return detections with the data set's class ids; those it does not have are dropped."""
        ids = self.ids[found.class_ids]
        keep = ids >= 0
        return Detections(found.boxes[keep], found.scores[keep], ids[keep], self.names)


def match_classes(model: Sequence[str], data: Sequence[str]) -> ClassMatch:
    """Match classes by name, regardless of case, or by number if no name is shared.

    Classes of the data set that the model lacks stay: their objects are missed, and a remark
    says so. Detections of classes that the data set lacks are dropped.

    Raises
    ------
    EdgeError
        If no name is shared and the numbers of classes differ.
    """
    index_of = {_plain(name): index for index, name in enumerate(data)}
    ids = np.array([index_of.get(_plain(name), -1) for name in model], np.int32)
    missing = [name for index, name in enumerate(data) if index not in ids]
    if (ids >= 0).any():
        remark = f"the model does not know {', '.join(missing)}: counted with a precision of 0"
        return ClassMatch(ids, tuple(data), (remark,) if missing else ())
    if len(model) != len(data):
        raise EdgeError(
            f"The model's classes ({_some(model)}) share no name with the data set's "
            f"({_some(data)}): give the model the data set's names when converting it."
        )
    remark = f"no class name is shared: matched by number ({model[0]} = {data[0]}, and so on)"
    return ClassMatch(np.arange(len(data), dtype=np.int32), tuple(data), (remark,))


def _plain(name: str) -> str:
    return name.strip().casefold().replace("_", " ").replace("-", " ")


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
