"""Every function of NVIDIA's bindings that our code calls exists, and takes so many arguments.

The lists were read from the bindings themselves (see `driver_names.py`); none of it ran on a GPU.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fake_cuda import FakeDriver

HERE = Path(__file__).parent
VERSIONS = sorted((HERE / "driver_api").glob("*.json"))


@pytest.fixture(scope="module")
def names() -> ModuleType:
    spec = importlib.util.spec_from_file_location("driver_names", HERE / "driver_names.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=VERSIONS, ids=lambda path: path.stem)
def api(request: pytest.FixtureRequest) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(request.param.read_text(encoding="utf-8"))
    return content


def test_every_call_is_one_of_the_bindings(names: ModuleType, api: dict[str, Any]) -> None:
    functions = api["functions"]
    assert {call for call in names.calls() if functions.get(call[0]) != call[1]} == set()
    assert names.members() - set(api["members"]) == set()


def test_the_fake_takes_the_arguments_of_the_real(names: ModuleType, api: dict[str, Any]) -> None:
    fake = {
        name: len(inspect.signature(function).parameters) - 1
        for name, function in vars(FakeDriver).items()
        if name.startswith("cu") and name in api["functions"]
    }
    assert len(fake) > 25
    assert {name: api["functions"][name] for name in fake} == fake


def test_the_calls_are_found_in_the_sources(names: ModuleType) -> None:
    assert len(VERSIONS) == 2
    assert {("cuMemcpyHtoDAsync", 4), ("cuGraphLaunch", 2), ("cuLaunchKernel", 11)} <= names.calls()
    assert "CU_STREAM_CAPTURE_MODE_THREAD_LOCAL" in names.members()
