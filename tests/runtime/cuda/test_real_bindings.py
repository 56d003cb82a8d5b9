"""Our calls through NVIDIA's own bindings, over a driver in C that only checks what arrives."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def test_arguments_arrive_through_the_real_bindings(tmp_path: Path) -> None:
    if importlib.util.find_spec("cuda") is None:
        pytest.skip("needs the package cuda-bindings: pip install 'edge-sdk[cuda]'")
    if shutil.which("gcc") is None:
        pytest.skip("needs the compiler gcc")
    library = tmp_path / "libcuda.so.1"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-o", library,
         "-Wl,-soname,libcuda.so.1", HERE / "stub_driver.c", "-ldl"],
        check=True,
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, HERE / "real_bindings.py", library],
        env={**os.environ, "LD_LIBRARY_PATH": str(tmp_path)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("as expected")
