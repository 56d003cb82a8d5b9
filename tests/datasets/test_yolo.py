from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from edge_sdk.datasets import open_dataset
from edge_sdk.datasets.yolo import label_path
from edge_sdk.errors import EdgeError

BOX = "1 0.5 0.5 0.5 0.4\n"
EXPECTED = [[10.0, 9.0, 30.0, 21.0]]


def test_a_box_in_pixels(yolo):
    data = open_dataset(yolo(BOX))
    assert data.names == ("cat", "dog")
    (sample,) = data.images
    np.testing.assert_allclose(sample.boxes, EXPECTED, atol=1e-4)
    assert sample.class_ids.tolist() == [1]
    assert sample.boxes.dtype == np.float32
    assert sample.class_ids.dtype == np.int32
    assert not sample.crowd.any()
    assert not sample.difficult.any()
    assert sample.read().shape == (30, 40, 3)
    assert data.remarks == ()


def test_a_byte_order_mark_and_the_lines_of_windows(yolo, tmp_path):
    yolo(BOX)
    for name in ("labels/val/0.txt", "data.yaml"):
        text = (tmp_path / name).read_bytes().replace(b"\n", b"\r\n")
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text)
    np.testing.assert_allclose(open_dataset(tmp_path).images[0].boxes, EXPECTED, atol=1e-4)


def test_a_label_in_another_encoding_is_named(yolo, tmp_path):
    yolo(BOX)
    (tmp_path / "labels/val/0.txt").write_bytes(BOX.encode("utf-16"))
    with pytest.raises(EdgeError, match=r"0\.txt is no text in UTF-8"):
        open_dataset(tmp_path)


def test_a_polygon_gives_its_box(yolo):
    data = open_dataset(yolo("0 0.25 0.3 0.75 0.5 0.5 0.7\n"))
    np.testing.assert_allclose(data.images[0].boxes, EXPECTED, atol=1e-4)


def test_a_missing_label_file_is_an_image_without_objects(yolo):
    data = open_dataset(yolo(BOX, None, ""))
    assert [len(sample.boxes) for sample in data.images] == [1, 0, 0]
    assert data.remarks == ("1 images have no label file: taken as images without objects",)


def test_no_label_file_at_all_is_a_mistake(yolo):
    with pytest.raises(EdgeError, match=r"None of the 2 images.*labels.val.0\.txt"):
        open_dataset(yolo(None, None))


def test_a_box_a_little_outside_is_clipped_and_counted(yolo):
    data = open_dataset(yolo("0 0.05 0.5 0.2 0.4\n" + BOX))
    np.testing.assert_allclose(data.images[0].boxes[0], [0, 9, 6, 21], atol=1e-4)
    assert data.remarks == ("1 boxes reached out of their image and were clipped",)


def test_a_box_outside_is_left_out_and_counted(yolo):
    data = open_dataset(yolo("0 1.05 0.5 0.05 0.4\n" + BOX))
    assert len(data.images[0].boxes) == 1
    assert data.remarks == ("1 boxes lay outside of their image and were left out",)


def test_labels_without_an_image_are_counted(yolo, tmp_path):
    yolo(BOX, BOX)
    (tmp_path / "images" / "val" / "1.png").unlink()
    assert open_dataset(tmp_path).remarks == ("1 label files belong to no image",)


def test_texts_beside_images_are_no_labels_without_an_image(yolo, tmp_path, image):
    yolo(BOX, yaml="val: flat\nnames: [cat, dog]")
    image(tmp_path / "flat" / "a.png")
    (tmp_path / "flat" / "a.txt").write_text(BOX)
    (tmp_path / "flat" / "README.txt").write_text("Read me.")
    assert open_dataset(tmp_path).remarks == ()


def test_images_of_another_split_keep_their_labels(yolo, tmp_path):
    yolo(BOX, BOX, yaml="val: val.txt\nnames: [cat, dog]")
    (tmp_path / "val.txt").write_text("./images/val/1.png\n")
    assert open_dataset(tmp_path).remarks == ()


def test_rounding_at_the_edge_is_no_remark(yolo):
    assert open_dataset(yolo("0 0.5 0.5 1.000001 1.0\n")).remarks == ()


def test_a_box_without_area_is_left_out_and_counted(yolo):
    data = open_dataset(yolo("0 0.5 0.5 0 0.4\n" + BOX))
    assert len(data.images[0].boxes) == 1
    assert data.remarks == ("1 boxes without area were left out",)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (BOX + "0 12 15 10 8\n", r"0\.txt:2: 12 is not between 0 and 1.*not pixels"),
        ("2 0.5 0.5 0.1 0.1\n", r"0\.txt:1: class 2 is not one of 0 to 1"),
        ("-1 0.5 0.5 0.1 0.1\n", "class -1"),
        ("0.5 0.5 0.5 0.1 0.1\n", r"class 0\.5"),
        ("0 0.5 0.5 0.1\n", r"0\.txt:1: 4 numbers"),
        ("0 0.5 0.5 0.1 0.1 0.9\n", "6 numbers"),
        ("cat 0.5 0.5 0.1 0.1\n", "'cat' is not a number"),
        ("0 nan 0.5 0.1 0.1\n", "'nan' is not a number"),
        ("0 0.5 0.5 -0.05 0.1\n", "a box of width -0.05"),
        ("0 0.5 0.5 -0.5 0.1\n", "a box of width -0.5"),
        ("\xff\xfe", "0.txt"),
    ],
)
def test_a_malformed_line_is_named(yolo, label, message):
    with pytest.raises(EdgeError, match=message):
        open_dataset(yolo(label))


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("val: images/val\n", "needs the key names"),
        ("val: images/val\nnames: {0: cat, 2: dog}\n", "without a gap"),
        ("val: images/val\nnc: 3\nnames: [cat, dog]\n", "nc: 3, but names 2"),
        ("val: nowhere\nnames: [cat]\n", "'nowhere', which does not exist"),
        ("just words\n", "is no data.yaml"),
        ("val: [\n", "cannot be read as YAML"),
        ("names: [cat]\n", "no split 'val'; there: none"),
        ("train: images/val\nnames: [cat, dog]\n", "no split 'val'; there: train"),
    ],
)
def test_a_malformed_yaml_is_named(yolo, yaml, message):
    with pytest.raises(EdgeError, match=message):
        open_dataset(yolo(BOX, yaml=yaml))


@pytest.mark.parametrize("names", ["[cat, dog]", "{0: cat, 1: dog}", "\n  '1': dog\n  '0': cat"])
@pytest.mark.parametrize(
    "place",
    [
        "val: images/val", "valid: images/val", "val2017: [images/val]",
        "path: .\nval: images/val", "path: /nowhere/else\nval: images/val",
        "val: ../images/val",
    ],
)  # fmt: skip
def test_the_forms_that_exporters_write(yolo, names, place):
    data = open_dataset(yolo(BOX, yaml=f"{place}\nnames: {names}"))
    assert data.names == ("cat", "dog")
    assert len(data.images[0].boxes) == 1


def test_the_layout_of_roboflow(yolo, tmp_path):
    yolo(BOX, yaml="train: ../train/images\nval: ../valid/images\nnames: [cat, dog]")
    for kind in ("images", "labels"):
        shutil.move(tmp_path / kind / "val", tmp_path / "valid" / kind)
    data = open_dataset(tmp_path)
    np.testing.assert_allclose(data.images[0].boxes, EXPECTED, atol=1e-4)


def test_a_list_of_images(yolo, tmp_path):
    yolo(BOX, BOX, yaml="val: val.txt\nnames: [cat, dog]")
    (tmp_path / "val.txt").write_text("./images/val/1.png\n")
    assert [Path(sample.name).name for sample in open_dataset(tmp_path).images] == ["1.png"]
    (tmp_path / "val.txt").write_text("./images/val/9.png\n")
    with pytest.raises(EdgeError, match=r"val\.txt lists .*9\.png, which does not exist"):
        open_dataset(tmp_path)


def test_the_last_folder_called_images_counts():
    assert label_path(Path("images/a/images/b/c.jpg")) == Path("images/a/labels/b/c.txt")
    assert label_path(Path("a/b/c.jpeg")) == Path("a/b/c.txt")


def test_the_yaml_itself_may_be_given(yolo):
    assert len(open_dataset(yolo(BOX) / "data.yaml")) == 1


def test_first(yolo):
    assert len(open_dataset(yolo(BOX, BOX, BOX)).first(2)) == 2


@pytest.mark.shared
@pytest.mark.parametrize(
    ("folder", "split", "images", "objects"),
    [("coco128", "val", 128, 898), ("coco128", "train", 128, 929), ("aquarium", "val", 127, 909)],
)
def test_real_data_sets(shared: Path, folder: str, split: str, images: int, objects: int):
    data = open_dataset(shared / "data" / folder, split)
    assert (len(data), sum(len(sample.boxes) for sample in data.images)) == (images, objects)
