from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_sdk.datasets import open_dataset
from edge_sdk.errors import EdgeError


def content(**changes: Any) -> dict[str, Any]:
    annotation = {"id": 1, "image_id": 7, "category_id": 18, "bbox": [10, 9, 20, 12], **changes}
    return {
        "images": [{"id": 7, "file_name": "a.png", "width": 40, "height": 30}],
        "annotations": [annotation],
        "categories": [{"id": 18, "name": "dog"}, {"id": 1, "name": "person"}],
    }


@pytest.fixture
def write(tmp_path: Path, image):
    def make(values: Any, name: str = "annotations/instances_val2017.json") -> Path:
        image(tmp_path / "val2017" / "a.png")
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(values if isinstance(values, str) else json.dumps(values))
        return tmp_path

    return make


def test_a_box_and_the_order_of_classes(write):
    data = open_dataset(write(content()), "val")
    assert data.names == ("person", "dog")
    assert data.split == "val2017"
    (sample,) = data.images
    np.testing.assert_array_equal(sample.boxes, [[10, 9, 30, 21]])
    assert sample.class_ids.tolist() == [1]
    assert sample.labels.areas.tolist() == [240.0]
    assert sample.read().shape == (30, 40, 3)


def test_crowd_and_the_area_of_the_outline(write):
    sample = open_dataset(write(content(iscrowd=1, area=99.5))).images[0]
    assert sample.crowd.tolist() == [True]
    assert sample.labels.areas.tolist() == [99.5]


@pytest.mark.parametrize(
    "name", ["annotations/instances_val2017.json", "val2017/_annotations.coco.json", "val2017.json"]
)
def test_places(write, name):
    root = write(content(), name)
    assert len(open_dataset(root)) == len(open_dataset(root / name)) == 1


def test_clipped_and_empty_boxes_are_counted(write):
    values = content(bbox=[30, 9, 20, 12])
    values["annotations"].append({"image_id": 7, "category_id": 1, "bbox": [5, 5, 0, 9]})
    data = open_dataset(write(values))
    np.testing.assert_array_equal(data.images[0].boxes, [[30, 9, 40, 21]])
    assert set(data.remarks) == {
        "1 boxes reached out of their image and were clipped",
        "1 boxes without area were left out",
    }


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("{", "cannot be read as JSON"),
        ([], "no list 'images'"),
        ({"images": []}, "no list 'annotations'"),
        ({"images": [], "annotations": [], "categories": []}, "lists no images"),
        ({**content(), "images": [{"id": 7}]}, r"images\[0\] has no 'file_name'"),
        (content(category_id=5), "annotation 1: category 5 is not listed"),
        (content(image_id=8), "annotations name the image 8"),
        (content(bbox=[1, 2, 3]), "annotation 1: bbox is not a list"),
        (content(bbox=[1, 2, -3, 4]), "annotation 1: a box of width -3"),
        (content(bbox=[1, 2, "x", 4]), "annotation 1: 'x' is not a number"),
        (content(bbox=[0.1, 0.2, 0.3, 0.4]), "all boxes lie between 0 and 1"),
        (content(image_id=[7]), r"annotations\[0\] has \[7\] as its 'image_id'"),
        (content(area="big"), "'big' is not a number"),
        ({**content(), "images": [{"id": 7, "file_name": 5}]}, r"has 5 as its 'file_name'"),
        ({**content(), "categories": [{"id": "x", "name": "a"}]}, r"has 'x' as its 'id'"),
        ({**content(), "images": 2 * content()["images"]}, "several images have the id 7"),
        ("\xff", "cannot be read as JSON"),
    ],
)
def test_malformed_content_is_named(write, values, message):
    with pytest.raises(EdgeError, match=message):
        open_dataset(write(values))


def test_a_byte_order_mark_is_no_content(write):
    assert len(open_dataset(write("\ufeff" + json.dumps(content())))) == 1


def test_missing_images_are_named(write, tmp_path):
    root = write(content())
    (tmp_path / "val2017" / "a.png").unlink()
    with pytest.raises(EdgeError, match=r"a\.png is in none of"):
        open_dataset(root)


def test_an_image_of_another_size_is_named(write, image, tmp_path):
    root = write(content())
    image(tmp_path / "val2017" / "a.png", 30, 40)
    with pytest.raises(EdgeError, match=r"a\.png has 40 x 30 pixels, but it has 30 x 40"):
        open_dataset(root)
