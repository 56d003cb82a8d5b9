"""What `hybrid.py` measures: trained networks with images to calibrate on and held-out data."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from views import VIEWS, in_views

from edge_sdk.datasets import Dataset, open_dataset

BRANCHES = ("heads.*.cls_convs.*", "heads.*.reg_convs.*", "heads.*.cls_pred", "heads.*.reg_pred")


@dataclass(frozen=True)
class Subject:
    """One network and its data.

    Attributes
    ----------
    source : a checkpoint or an ONNX file, for `edge_sdk.convert`.
    head : see `edge_sdk.convert`.
    labels : labelled images for whoever controls accuracy, with their split: training or
        calibration data. The first `labelled` of them are used.
    held_out : the data that the figures are of, with their splits. Nothing learned from them; of
        fine-tuned networks, `val` has chosen the epoch.
    street : calibrate on frames of the test camera, not on the pictures of `labels`.
    limit : pictures to calibrate on at most.
    hand_made : name -> patterns of layers that published lists keep float.
    """

    source: Path
    labels: tuple[str, str]
    held_out: tuple[str, tuple[str, ...]]
    head: str | None = None
    street: bool = False
    limit: int = 256
    labelled: int = 128
    hand_made: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def views(self) -> int:
        """Consecutive samples of `dataset` that show the same image."""
        return 1 if self.street else VIEWS

    def dataset(self) -> Dataset:
        """Return the held-out images: of the test camera as they are, others in several views."""
        source, splits = self.held_out
        opened = [open_dataset(source, split) for split in splits]
        return opened[0] if self.street else in_views(opened)


YOLO_NAS = {"super-gradients: head branches": BRANCHES, "YOLOv6: heads": ("heads.*",)}
YOLOX = {
    "super-gradients: head branches": ("Conv_30?", "Conv_31?", "Conv_32?", "Conv_33[58]",
        "Conv_3[45]?", "Conv_36[8]", "Conv_37?", "Conv_38?", "Conv_39?", "head.*"),
    "YOLOv6: heads": ("Conv_299", "Conv_3??", "head.*"),
}  # fmt: skip


def subjects(project: Path, shared: Path, weights: Path | None, frames: int) -> dict[str, Subject]:
    """Return all subjects by name.

    Parameters
    ----------
    project : its root.
    shared : the folder of data and weights.
    weights : the checkpoint of the subject, for those whose weights are not kept in the project.
    frames : held-out frames of the test camera.
    """
    street = ("test://street?frames=128", "calibration")
    coco, data = shared / "data" / "coco128", shared / "data"
    trained = weights or Path("best.safetensors")
    return {
        "n_street": Subject(
            weights or project / "weights" / "n_street.onnx", street,
            (f"test://street?frames={frames}", ("val",)), street=True, hand_made=YOLO_NAS,
        ),
        "yolox_nano": Subject(
            shared / "weights" / "yolox_nano.onnx", (str(coco), "train"), (str(coco), ("val",)),
            head="yolox", hand_made=YOLOX,
        ),
        "bccd": Subject(
            trained, (str(data / "bccd"), "train"), (str(data / "bccd"), ("val", "test")),
            hand_made=YOLO_NAS,
        ),
        "aquarium": Subject(
            trained, (str(data / "aquarium"), "train"), (str(data / "aquarium"), ("val", "test")),
            hand_made=YOLO_NAS,
        ),
    }  # fmt: skip
