from dataclasses import replace
from pathlib import Path

import numpy as np
from tiny import tiny_spec

from edge_sdk.datasets.sample import Dataset, FileSample, Labels
from edge_sdk.labelled_frames import labelled_frames


def labels(*boxes: list[float], crowd: int = 0) -> Labels:
    crowds = [number < crowd for number in range(len(boxes))]
    return Labels.of(list(boxes), [0] * len(boxes), crowds)


def test_objects_lie_where_the_letterbox_put_them(tmp_path: Path) -> None:
    import cv2

    path = tmp_path / "a.png"
    picture = np.zeros((200, 400, 3), np.uint8)
    picture[50:150, 100:300] = 255
    cv2.imwrite(str(path), picture)
    object_, crowd = [100.0, 50.0, 300.0, 150.0], [0.0, 0.0, 9.0, 9.0]
    samples = [
        FileSample(path, labels()),
        FileSample(path, labels(crowd, crowd=1)),
        FileSample(path, labels(crowd, object_, crowd=1)),
        FileSample(path, labels(object_)),
    ]
    dataset = Dataset(("a",), tuple(samples), str(tmp_path), "train")
    spec = tiny_spec((96, 128))
    spec = replace(spec, preprocessing=replace(spec.preprocessing, margin=0))
    frames, objects = labelled_frames(dataset, 1, spec)
    assert len(frames) == len(objects) == 1
    ((x1, y1, x2, y2),) = objects[0].round().astype(int)
    inside = frames[0][0, :, y1 + 1 : y2 - 1, x1 + 1 : x2 - 1]
    assert inside.min() > 0.99
    assert frames[0][0, :, [y1 - 2, y2 + 1], x1:x2].max() < 0.01
    assert len(labelled_frames(dataset, 5, spec)[0]) == 2
