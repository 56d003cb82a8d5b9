"""Every name of NVIDIA's bindings that our code uses exists, in the oldest version and the newest.

The lists were read from the bindings themselves (see `tensorrt_names.py`); no TensorRT ran.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent
VERSIONS = ("10.3.0", "10.16.1.11", "11.4.0.106")
RTX_ONLY = {
    "ComputeCapability", "IBuilderConfig.num_compute_capabilities",
    "IBuilderConfig.set_compute_capability", "BuilderFlag.REQUIRE_USER_ALLOCATION",
    "IRuntimeConfig.dynamic_shapes_kernel_specialization_strategy",
}  # fmt: skip
"""Used only where the library has them."""
WITH_THEM = {"ICudaEngine.create_runtime_config"}
"""Used only beside those, but not theirs alone."""


@pytest.fixture(scope="module")
def names() -> ModuleType:
    path = HERE / "tensorrt_names.py"
    spec = importlib.util.spec_from_file_location("tensorrt_names", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("version", VERSIONS)
def test_tensorrt_has_every_name(names: ModuleType, version: str) -> None:
    listed = set(json.loads((HERE / "tensorrt_api" / f"{version}.json").read_text()))
    assert names.used() - RTX_ONLY - WITH_THEM - listed == set()
    assert listed.isdisjoint(RTX_ONLY)


def test_tensorrt_rtx_has_every_name(names: ModuleType, trt: ModuleType) -> None:
    assert {name for name in names.used() if not names.has(trt, name)} == set()


def test_the_names_are_found_in_the_sources(names: ModuleType) -> None:
    expected = {"Builder.create_network", "IDequantizeLayer.axis", "ParserError.desc",
                "NetworkDefinitionCreationFlag.STRONGLY_TYPED", "Runtime.engine_host_code_allowed",
                "ICudaEngine.get_tensor_mode", "IExecutionContext.execute_async_v3",
                "EngineInspector.get_engine_information", "IProfiler"}  # fmt: skip
    assert expected <= names.used()
