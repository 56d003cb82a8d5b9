import pytest

from edge_sdk.converters.target import Target
from edge_sdk.errors import EdgeError


@pytest.mark.parametrize(
    ("name", "lowering", "builder", "folder"),
    [
        ("openvino", "openvino", "openvino", "openvino"),
        ("tensorrt", "tensorrt", "tensorrt", "tensorrt"),
        ("tensorrt:remote", "tensorrt", "tensorrt", "tensorrt-remote"),
        ("tensorrt-rtx:sm75", "tensorrt", "tensorrt_rtx", "tensorrt-rtx-sm75"),
    ],
)
def test_a_target_is_taken_apart(name: str, lowering: str, builder: str, folder: str) -> None:
    target = Target.parse(name)
    assert (target.lowering, target.builder, target.folder) == (lowering, builder, folder)
    assert target.name == name
    assert target.on_cpu == (name == "openvino")


@pytest.mark.parametrize(
    "name",
    ["", "tpu", "openvino:x", "tensorrt:", "tensorrt:sm75", "tensorrt-rtx", "tensorrt-rtx:75"],
)
def test_an_unknown_target_is_refused(name: str) -> None:
    with pytest.raises(EdgeError, match="There is no target"):
        Target.parse(name)


def test_a_jetson_is_no_target_of_another_machine() -> None:
    with pytest.raises(EdgeError, match=r"a Jetson Orin \(sm87\) builds its engines itself"):
        Target.parse("tensorrt-rtx:sm87")
