"""The kernels' tests run on the host, and on a GPU where there is one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import emulated_cuda
import pytest
from kernel_machines import Gpu, Host, Machine

from edge_sdk.errors import EdgeError
from edge_sdk.runtime.cuda.context import Context


@pytest.fixture(scope="session")
def compiled_kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the kernels compiled for the host, each when it is first used."""
    if not emulated_cuda.have_compiler():
        pytest.skip("needs the compiler g++")
    return tmp_path_factory.mktemp("kernels")


@pytest.fixture(scope="session")
def gpu_context() -> Iterator[Context]:
    """The first GPU, held as long as tests run: to begin with it takes a while."""
    try:
        context = Context.open()
    except EdgeError as error:
        pytest.skip(f"needs a GPU: {error}")
    yield context
    context.close()


@pytest.fixture(params=["host", pytest.param("gpu", marks=pytest.mark.gpu)])
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """What stands for a GPU, or a GPU."""
    if request.param == "host":
        yield Host(request.getfixturevalue("compiled_kernels"), monkeypatch)
        return
    with request.getfixturevalue("gpu_context"):
        gpu = Gpu()
        yield gpu
        gpu.close()
