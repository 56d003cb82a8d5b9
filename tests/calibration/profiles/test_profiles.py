from pathlib import Path

import pytest
from tiny import tiny_spec

from edge_sdk.calibration.group_graph import GroupGraph
from edge_sdk.calibration.profiles import profile
from edge_sdk.converters.engines import write_engine
from edge_sdk.converters.layer_groups import layer_groups
from edge_sdk.converters.lowering import lowering
from edge_sdk.converters.model_file import load_model
from edge_sdk.errors import EdgeError


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """The tiny model as `convert` leaves it: every layer has a name."""
    from edge_sdk.converters.convert import convert

    return convert(tiny_model, tmp_path_factory.mktemp("profiles") / "model.onnx").output


@pytest.mark.parametrize("precision", ["float", "int8", "mixed"])
@pytest.mark.parametrize("target", ["openvino", "onnxruntime"])
def test_an_engine_tells_the_time_of_every_group(
    named: Path, tmp_path: Path, target: str, precision: str
) -> None:
    from small_graphs import table_of

    model = load_model(named)
    groups = layer_groups(model)
    layers = [layer for group in groups for layer in group.layers]
    chosen = frozenset({"float": [], "int8": layers, "mixed": layers[::2]}[precision])
    lowered = lowering(target)(model, table_of(model, {}), chosen) if chosen else model
    kernels = profile(
        write_engine(target, lowered, tmp_path), target, tiny_spec(), threads=1, repetitions=3
    )
    graph = GroupGraph(model, groups)
    owned = [owner for kernel in kernels for owner in graph.owners(kernel.labels) or ()]
    assert set(owned) == {group.name for group in groups}
    known = sum(kernel.ms for kernel in kernels if graph.owners(kernel.labels) is not None)
    assert known > 0.5 * sum(kernel.ms for kernel in kernels) > 0


def test_a_target_without_a_profiler_is_refused(named: Path) -> None:
    with pytest.raises(EdgeError, match="cannot be profiled"):
        profile(named, "tensorrt-rtx:sm75", tiny_spec())
