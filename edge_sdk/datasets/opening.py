"""One way into every kind of data set."""

from __future__ import annotations

from pathlib import Path

from edge_sdk.datasets.sample import Dataset
from edge_sdk.errors import EdgeError


def open_dataset(source: str | Path, split: str = "val") -> Dataset:
    """Open a split of a data set.

    Parameters
    ----------
    source : a folder with a data.yaml (YOLO), or the yaml itself; a COCO json, or a folder with
        one for each split; a Pascal VOC folder (Annotations, or .xml beside the images of each
        split); or `test://street?seed=&size=&fps=&frames=` for
        frames of the test camera with exact labels.
    split : `val` also finds `valid`, `val2017` and `validation`; likewise `train` and `test`.
        A COCO json is its own split.

    Returns
    -------
    Dataset
        With at least one image. Boxes that leave their image a little are clipped and counted
        in its remarks.

    Raises
    ------
    EdgeError
        If it is none of these, has no such split, or a label is malformed.
    """
    if str(source).startswith("test://"):
        from edge_sdk.datasets.street import open_street

        return open_street(str(source), split)
    path = Path(source)
    if not path.exists():
        raise EdgeError(f"{path} does not exist: give a folder or file of labelled images.")
    return _open_path(path, split)


def _open_path(path: Path, split: str) -> Dataset:
    from edge_sdk.datasets.coco import coco_files, open_coco
    from edge_sdk.datasets.voc import is_voc, open_voc
    from edge_sdk.datasets.yolo import open_yolo

    if path.suffix in (".yaml", ".yml"):
        return open_yolo(path, split)
    if path.suffix == ".json":
        return open_coco(path)
    if path.is_dir():
        if yaml_path := _yaml(path):
            return open_yolo(yaml_path, split)
        if is_voc(path):
            return open_voc(path, split)
        if files := coco_files(path):
            from edge_sdk.datasets.splits import find_split

            return open_coco(files[find_split(split, files, path)])
    raise EdgeError(
        f"{path} is no data set that is understood: give a folder with a data.yaml (YOLO), a "
        "COCO json, or a Pascal VOC folder: Annotations and JPEGImages, or the .xml beside the "
        "images of train, val and test."
    )


def _yaml(folder: Path) -> Path | None:
    """Return data.yaml, or the only yaml of a folder."""
    for name in ("data.yaml", "data.yml", "dataset.yaml"):
        if (folder / name).is_file():
            return folder / name
    found = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
    return found[0] if len(found) == 1 else None
