"""The kernels' sources through NVIDIA's compilers; neither needs a GPU."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from emulated_cuda import KERNELS, kernel_names

from edge_sdk.errors import EdgeError
from edge_sdk.runtime.cuda import compiler
from edge_sdk.runtime.cuda.compiler import OPTIONS, compiled

SOURCES = sorted(KERNELS.glob("*.cu"))
ARCHITECTURES = ["sm_75", "sm_86", "sm_87", "sm_90"]
MOST_REGISTERS = 64
"""A multiprocessor then still runs 1024 threads."""


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_nvcc_has_no_complaint_and_nothing_spills(source, architecture, tmp_path):
    if shutil.which("nvcc") is None:
        pytest.skip("needs NVIDIA's compiler nvcc")
    done = subprocess.run(
        ["nvcc", "-cubin", *OPTIONS, f"-arch={architecture}", "-Werror", "all-warnings",
         "-Xptxas", "-v,-warn-spills,-warn-lmem-usage", "-o", str(tmp_path / "kernels"),
         str(source)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    check_resources(source, done.stderr + done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_nvrtc_has_no_complaint_and_nothing_spills(source, architecture):
    """The same of the compiler that users have, which a package brings."""
    nvrtc = library()
    options = [*OPTIONS, f"--include-path={KERNELS}", f"--gpu-architecture={architecture}",
               "--warning-as-error=all-warnings", "--ptxas-options=-v"]  # fmt: skip
    program = nvrtc.nvrtcCreateProgram(source.read_bytes(), b"", 0, [], [])[1]
    encoded = [option.encode() for option in options]
    (status,) = nvrtc.nvrtcCompileProgram(program, len(encoded), encoded)
    log = b" " * nvrtc.nvrtcGetProgramLogSize(program)[1]
    nvrtc.nvrtcGetProgramLog(program, log)
    nvrtc.nvrtcDestroyProgram(program)
    assert int(status) == 0, log.decode()
    check_resources(source, log.decode())


def check_resources(source: Path, report: str) -> None:
    """Check what the assembler says of each kernel of a source."""
    frames = re.findall(r"(\d+) bytes stack frame, (\d+) bytes spill stores", report)
    registers = [int(number) for number in re.findall(r"Used (\d+) registers", report)]
    assert len(frames) == len(registers) == len(kernel_names(source.read_text("utf-8")))
    assert set(frames) == {("0", "0")}
    assert max(registers) <= MOST_REGISTERS


def library():
    """Return NVRTC, where it is."""
    nvrtc = pytest.importorskip("cuda.bindings.nvrtc", reason="needs the package cuda-bindings")
    try:
        nvrtc.nvrtcVersion()
    except RuntimeError:
        pytest.skip("needs NVIDIA's library NVRTC: pip install nvidia-cuda-nvrtc")
    return nvrtc


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own, and NVRTC at hand."""
    library()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "edge-sdk" / "kernels"


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_nvrtc_compiles_every_source(source, cache):
    assert compiled(source, "sm87").startswith(b"\x7fELF")


def test_what_is_compiled_once_is_read_from_disk_then(cache, monkeypatch):
    first = compiled(KERNELS / "rank.cu", "sm75")
    (kept,) = cache.iterdir()
    assert kept.read_bytes() == first
    monkeypatch.setattr(compiler._Compiler, "compile", None)
    assert compiled(KERNELS / "rank.cu", "sm75") == first


def test_another_source_option_or_gpu_is_compiled_anew(cache, tmp_path, monkeypatch):
    source = tmp_path / "rank.cu"
    source.write_bytes((KERNELS / "rank.cu").read_bytes())
    for name in ("head.cuh", "half.cuh"):
        (tmp_path / name).write_bytes((KERNELS / name).read_bytes())
    compiled(source, "sm75")
    compiled(source, "sm90")
    (tmp_path / "half.cuh").write_text("#pragma once\n" + (tmp_path / "half.cuh").read_text())
    compiled(source, "sm90")
    monkeypatch.setattr(compiler, "OPTIONS", (*OPTIONS, "--maxrregcount=64"))
    compiled(source, "sm90")
    assert len(list(cache.iterdir())) == 4


def test_a_gpu_newer_than_nvrtc_gets_ptx(cache):
    assert b".target sm_" in compiled(KERNELS / "rank.cu", "sm999")


def test_a_gpu_older_than_nvrtc_is_refused(cache):
    with pytest.raises(EdgeError, match="does not compile for sm20"):
        compiled(KERNELS / "rank.cu", "sm20")


def test_an_error_says_where(cache, tmp_path):
    source = tmp_path / "wrong.cu"
    source.write_text("__global__ void wrong() { nothing(); }")
    with pytest.raises(EdgeError, match=r"(?s)wrong\.cu\(1\).*nothing"):
        compiled(source, "sm75")
    assert not cache.exists()


def test_a_cache_that_cannot_be_written_is_done_without(cache, monkeypatch, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(file))
    assert compiled(KERNELS / "rank.cu", "sm75").startswith(b"\x7fELF")


def test_without_nvrtc_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setattr(compiler.importlib, "import_module", _missing)
    with pytest.raises(EdgeError, match=r"pip install 'edge-sdk\[cuda\]'"):
        compiled(KERNELS / "rank.cu", "sm75")


def _missing(name: str) -> None:
    raise ImportError(f"No module named {name!r}")
