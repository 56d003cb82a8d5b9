from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_sdk.datasets import open_dataset
from edge_sdk.errors import EdgeError

OBJECT = """<object><name>{name}</name><difficult>{difficult}</difficult><bndbox>
<xmin>{box[0]}</xmin><ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax>
</bndbox></object>"""


def annotation(box=(11, 10, 30, 21), name="dog", difficult=0, size=(40, 30)) -> str:
    return (
        f"<annotation><size><width>{size[0]}</width><height>{size[1]}</height></size>"
        + OBJECT.format(name=name, box=box, difficult=difficult)
        + "</annotation>"
    )


@pytest.fixture
def voc(tmp_path: Path, image):
    def make(*annotations: str, split: str = "val") -> Path:
        for folder in ("Annotations", "ImageSets/Main"):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for index, text in enumerate(annotations):
            image(tmp_path / "JPEGImages" / f"{index}.jpg")
            (tmp_path / "Annotations" / f"{index}.xml").write_text(text)
        lines = "".join(f"{index}\n" for index in range(len(annotations)))
        (tmp_path / "ImageSets" / "Main" / f"{split}.txt").write_text(lines)
        return tmp_path

    return make


def test_one_based_corners(voc):
    sample = open_dataset(voc(annotation())).images[0]
    np.testing.assert_array_equal(sample.boxes, [[10, 9, 30, 21]])
    assert not sample.difficult.any()


def test_difficult_objects_are_marked(voc):
    assert open_dataset(voc(annotation(difficult=1))).images[0].difficult.tolist() == [True]


def test_names_are_those_of_all_splits_in_order(voc, tmp_path):
    root = voc(annotation(name="dog"), annotation(name="cat"))
    (root / "ImageSets/Main/val.txt").write_text("0\n")
    data = open_dataset(root)
    assert data.names == ("cat", "dog")
    assert data.images[0].class_ids.tolist() == [1]
    (tmp_path / "labels.txt").write_text("dog\ncat\n")
    assert open_dataset(root).names == ("dog", "cat")


def test_splits_and_their_lists_by_class(voc):
    root = voc(annotation(), split="train")
    (root / "ImageSets/Main/dog_val.txt").write_text("0 1\n")
    with pytest.raises(EdgeError, match="ImageSets/Main has no split 'val'; there: train"):
        open_dataset(root)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotation>", "0.xml cannot be read as XML"),
        (annotation(box=(30, 10, 11, 21)), r"0\.xml, object 1: an inverted box"),
        (annotation(box=("x", 10, 11, 21)), "'x' is not a number"),
        (annotation(box=(0.1, 0.2, 0.3, 0.4)), "all boxes lie between 0 and 1"),
        (annotation(size=(80, 60)), "says 80 x 60 pixels, but .* has 40 x 30"),
        ("<annotation><object><name>a</name></object></annotation>", "no bndbox"),
        ("<annotation/>", "No annotation of .* names an object"),
        (annotation(name=""), "No annotation of .* names an object"),
    ],
)
def test_malformed_annotations_are_named(voc, text, message):
    with pytest.raises(EdgeError, match=message):
        open_dataset(voc(text))


def test_an_object_without_a_class_is_named(voc):
    with pytest.raises(EdgeError, match=r"1\.xml, object 1: class '' is not one of dog"):
        open_dataset(voc(annotation(), annotation(name=" ")))


@pytest.mark.parametrize("name", ["labels.txt", "ImageSets/Main/val.txt"])
def test_texts_that_are_none_are_named(voc, name):
    root = voc(annotation())
    (root / name).write_bytes("dog 0\n".encode("utf-16"))
    with pytest.raises(EdgeError, match=f"{name} is no text in UTF-8"):
        open_dataset(root)


def test_names_with_spaces_and_numbers_behind_them(voc):
    root = voc(annotation(), annotation())
    for folder, suffix in (("JPEGImages", ".jpg"), ("Annotations", ".xml")):
        (root / folder / f"1{suffix}").rename(root / folder / f"my  fish ü{suffix}")
    (root / "ImageSets/Main/val.txt").write_text("\ufeff0  1\nmy  fish ü\n", encoding="utf-8")
    data = open_dataset(root)
    assert [Path(sample.name).stem for sample in data.images] == ["0", "my  fish ü"]
    assert [len(sample.boxes) for sample in data.images] == [1, 1]


def test_an_unlisted_class_is_named(voc, tmp_path):
    (tmp_path / "labels.txt").write_text("cat\n")
    with pytest.raises(EdgeError, match=r"0\.xml, object 1: class 'dog' is not one of cat"):
        open_dataset(voc(annotation()))


def test_a_missing_image_is_named(voc):
    root = voc(annotation(), annotation())
    (root / "JPEGImages" / "1.jpg").unlink()
    with pytest.raises(EdgeError, match=r"val\.txt lists 1, which is not in JPEGImages"):
        open_dataset(root)


def test_a_missing_annotation_is_counted(voc):
    root = voc(annotation(), annotation())
    (root / "Annotations" / "1.xml").unlink()
    data = open_dataset(root)
    assert [len(sample.boxes) for sample in data.images] == [1, 0]
    assert data.remarks == ("1 images have no annotation: taken as images without objects",)


def test_annotations_without_an_image_are_counted(voc):
    root = voc(annotation())
    (root / "Annotations" / "9.xml").write_text(annotation())
    assert open_dataset(root).remarks == ("1 annotations belong to no image",)


def test_a_box_outside_is_left_out_and_counted(voc):
    data = open_dataset(voc(annotation(box=(45, 10, 60, 21))))
    assert len(data.images[0].boxes) == 0
    assert data.remarks == ("1 boxes lay outside of their image and were left out",)


def test_an_empty_split_is_named(voc):
    root = voc(annotation())
    (root / "ImageSets" / "Main" / "val.txt").write_text("\n")
    with pytest.raises(EdgeError, match=r"val\.txt lists no image"):
        open_dataset(root)


def test_annotations_beside_the_images_of_each_split(tmp_path, image):
    for split, names in (("train", ["dog", "cat"]), ("valid", ["dog", None])):
        for index, name in enumerate(names):
            image(tmp_path / split / f"{index}.jpg")
            if name:
                (tmp_path / split / f"{index}.xml").write_text(annotation(name=name))
    (tmp_path / "valid" / "9.xml").write_text(annotation())
    data = open_dataset(tmp_path)
    assert (data.names, data.split) == (("cat", "dog"), "valid")
    assert [sample.class_ids.tolist() for sample in data.images] == [[1], []]
    assert set(data.remarks) == {
        "1 annotations belong to no image",
        "1 images have no annotation: taken as images without objects",
    }
    (tmp_path / "valid" / "0.xml").write_text(annotation(box=(30, 10, 11, 21)))
    with pytest.raises(EdgeError, match=r"valid/0\.xml, object 1: an inverted box"):
        open_dataset(tmp_path)
    with pytest.raises(EdgeError, match="no split 'test'; there: train, valid"):
        open_dataset(tmp_path, "test")


@pytest.mark.shared
def test_the_blood_cells(shared: Path):
    data = open_dataset(shared / "data" / "bccd", "val")
    assert data.names == ("Platelets", "RBC", "WBC")
    assert (len(data), sum(len(sample.boxes) for sample in data.images)) == (87, 1138)
