"""Families told apart by the shapes of their outputs."""

from __future__ import annotations

import pytest

from edge_sdk.converters.heads import recognize
from edge_sdk.converters.heads.names import COCO, class_names, read_names
from edge_sdk.converters.heads.signature import Signature
from edge_sdk.errors import EdgeError


def signature(size: tuple[int, int] = (416, 416), **outputs: tuple[int, ...]) -> Signature:
    return Signature("images", size, outputs)


MAPS = {
    f"{role}{stride}": (1, channels, 64 // stride, 96 // stride)
    for role, channels in (("d", 68), ("c", 5))
    for stride in (32, 8, 16)
}


def test_yolox() -> None:
    spec = recognize(signature(output=(1, 3549, 85)))
    assert (spec.family, spec.layout, spec.num_classes) == ("yolox", "grid", 80)
    assert spec.class_names == COCO
    assert spec.outputs == {"predictions": ("output",)}
    how = spec.preprocessing
    assert (how.channel_order, how.scale, how.placement, how.pad_value) == (
        "bgr",
        1.0,
        "top_left",
        114,
    )


def test_yolov8() -> None:
    spec = recognize(signature((640, 640), output0=(1, 84, 8400)))
    assert (spec.family, spec.layout, spec.num_classes) == ("yolov8", "boxes", 80)
    how = spec.preprocessing
    assert (how.channel_order, how.scale, how.placement) == ("rgb", 1 / 255, "center")
    assert how.margin == 0


def test_yolo_nas_maps_in_any_order() -> None:
    spec = recognize(signature((64, 96), **MAPS))
    assert (spec.family, spec.layout, spec.num_classes) == ("yolo_nas", "dfl", 5)
    assert spec.outputs == {"classes": ("c8", "c16", "c32"), "distances": ("d8", "d16", "d32")}
    how = spec.preprocessing
    assert (how.channel_order, how.placement, how.pad_value, how.margin) == (
        "rgb",
        "center",
        114,
        4,
    )


def test_yolo_nas_with_as_many_classes_as_distances() -> None:
    maps = {name.replace("d", "z"): (1, 68, *shape[2:]) for name, shape in MAPS.items()}
    ordered = dict(sorted(maps.items()))
    spec = recognize(signature((64, 96), **ordered))
    assert spec.outputs["classes"] == ("c8", "c16", "c32")


@pytest.mark.parametrize("order", [("boxes", "scores"), ("scores", "boxes")])
def test_yolo_nas_decoded(order: tuple[str, str]) -> None:
    shapes = {"boxes": (1, 8400, 4), "scores": (1, 8400, 7)}
    spec = recognize(signature((640, 640), **{name: shapes[name] for name in order}))
    assert (spec.family, spec.layout, spec.num_classes) == ("yolo_nas", "decoded", 7)
    assert spec.output_names == ("boxes", "scores")


def test_a_chosen_head_is_held_to() -> None:
    assert recognize(signature(output=(1, 3549, 85)), "yolox").family == "yolox"
    with pytest.raises(EdgeError, match=r"do not fit yolov8"):
        recognize(signature(output=(1, 3549, 85)), "yolov8")
    with pytest.raises(EdgeError, match="choose one of yolo_nas, yolox, yolov8"):
        recognize(signature(output=(1, 3549, 85)), "detr")


@pytest.mark.parametrize(
    "outputs",
    [
        {"logits": (1, 1000)},
        {"one": (1, 100, 85)},
        {"boxes": (1, 3549, 5), "scores": (1, 3549, 80)},
        dict(list(MAPS.items())[:5]),
    ],
)
def test_other_outputs_are_listed_with_the_choices(outputs) -> None:
    with pytest.raises(EdgeError) as caught:
        recognize(signature(**outputs))
    message = str(caught.value)
    for name, shape in outputs.items():
        assert f"{name} {list(shape)}" in message
    for family in ("yolo_nas", "yolox", "yolov8"):
        assert family in message


def test_an_input_that_the_strides_do_not_divide_is_refused() -> None:
    with pytest.raises(EdgeError, match=r"400x416.*multiple of 32"):
        recognize(signature((400, 416), output=(1, 3500, 85)))


def test_names_have_defaults_and_are_counted(tmp_path) -> None:
    assert class_names(3) == ("class 0", "class 1", "class 2")
    assert len(set(COCO)) == 80
    with pytest.raises(EdgeError, match=r"2 class names .* 3 classes"):
        class_names(3, ["a", "b"])
    file = tmp_path / "names.txt"
    file.write_text("cat\n\n dog \n")
    assert read_names(str(file)) == ("cat", "dog")
    assert read_names("a, b,c") == ("a", "b", "c")
    assert read_names("cat") == ("cat",)
    for bad in (str(tmp_path / "no.txt"), ",", ""):
        with pytest.raises(EdgeError):
            read_names(bad)
    with pytest.raises(EdgeError, match="The class name 'a' is given twice in 'a, b,a'"):
        read_names("a, b,a")
