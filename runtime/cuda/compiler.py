"""CUDA C++ compiled for the GPU at hand, at first use, by NVIDIA's NVRTC; kept on disk.

A compiled file is named after all that it depends on: the sources, the options, the GPU's compute
capability and NVRTC's version. NVRTC itself needs no GPU.
"""

from __future__ import annotations

import hashlib
import importlib
import os
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from edge_sdk.errors import EdgeError
from edge_sdk.files import replacing

OPTIONS = ("--std=c++17", "--fmad=false")
"""No fused multiply-add: results have the bits of the C kernels."""


def cache_folder() -> Path:
    """Return where compiled kernels are kept: under XDG_CACHE_HOME, or ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "edge-sdk" / "kernels"


def compiled(source: Path, capability: str) -> bytes:
    """Return a source compiled, in a form that the driver loads.

    Parameters
    ----------
    source : a `.cu` file; the `.cuh` files that it includes lie beside it.
    capability : of the GPU, "sm75". For a GPU that is newer than NVRTC, the result is PTX, which
        the driver compiles on.

    Raises
    ------
    EdgeError
        If NVRTC is not there or does not know the GPU, or the source does not compile.
    """
    compiler = _Compiler()
    option, binary = compiler.target(capability)
    options = (*OPTIONS, f"--include-path={source.parent}", f"--gpu-architecture={option}")
    kept = cache_folder() / f"{source.stem}-{option}-{_digest(source, compiler.version)}"
    with suppress(OSError):
        return kept.read_bytes()
    result = compiler.compile(source, options, binary)
    with suppress(EdgeError), replacing(kept) as beside:  # a cache that cannot be written is none
        beside.write_bytes(result)
    return result


def compiler_version() -> tuple[int, int]:
    """Return the version of NVRTC, (13, 0).

    Raises
    ------
    EdgeError
        If it is not there.
    """
    return _Compiler().version


def _digest(source: Path, version: tuple[int, int]) -> str:
    """Name the content that a compilation depends on, beside the GPU."""
    digest = hashlib.sha256(f"{OPTIONS} {version}".encode())
    for path in (source, *sorted(source.parent.glob("*.cuh"))):
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)} ".encode() + content)
    return digest.hexdigest()[:32]


class _Compiler:
    """NVRTC, through cuda-bindings."""

    def __init__(self) -> None:
        try:
            self._nvrtc: ModuleType = importlib.import_module("cuda.bindings.nvrtc")
            self.version: tuple[int, int] = self._call("nvrtcVersion")
        except (ImportError, RuntimeError) as error:
            raise EdgeError(
                "The CUDA kernels are compiled on the device, by NVRTC, which is not here: pip "
                "install 'edge-sdk[cuda]', or 'edge-sdk[cuda12]' for a driver of CUDA 12 (JetPack "
                f"brings its own NVRTC) ({error})."
            ) from error

    def target(self, capability: str) -> tuple[str, bool]:
        """Return NVRTC's name for a GPU, and whether it makes machine code for it (else PTX).

        Raises
        ------
        EdgeError
            If the GPU is older than all that this NVRTC knows.
        """
        wanted = int(capability.removeprefix("sm"))
        known = self._call("nvrtcGetSupportedArchs")
        if wanted in known:
            return f"sm_{wanted}", True
        older = [number for number in known if number < wanted]
        if not older:
            raise EdgeError(
                f"NVRTC {self.version[0]}.{self.version[1]} does not compile for {capability} any "
                "more: install an older nvidia-cuda-nvrtc and cuda-bindings."
            )
        return f"compute_{max(older)}", False

    def compile(self, source: Path, options: tuple[str, ...], binary: bool) -> bytes:
        """Compile a file.

        Raises
        ------
        EdgeError
            If it does not compile; the message ends with the compiler's words.
        """
        program = self._call(
            "nvrtcCreateProgram", source.read_bytes(), source.name.encode(), 0, [], []
        )
        try:
            encoded = [option.encode() for option in options]
            status = self._nvrtc.nvrtcCompileProgram(program, len(encoded), encoded)[0]
            if int(status) != 0:
                log = self._read("ProgramLog", program).rstrip(b"\0").decode(errors="replace")
                raise EdgeError(f"NVRTC cannot compile {source}:\n{log.strip()}")
            return self._read("CUBIN" if binary else "PTX", program)
        finally:
            self._call("nvrtcDestroyProgram", program)

    def _read(self, what: str, program: Any) -> bytes:
        """Return what nvrtcGet... has to say about a program."""
        content = b" " * int(self._call(f"nvrtcGet{what}Size", program))
        self._call(f"nvrtcGet{what}", program, content)
        return content

    def _call(self, name: str, *arguments: Any) -> Any:
        """Call a function of NVRTC; return None or its one value, or a tuple of its values."""
        status, *values = getattr(self._nvrtc, name)(*arguments)
        if int(status) != 0:
            _, text = self._nvrtc.nvrtcGetErrorString(status)
            raise EdgeError(f"{name} failed: {text.decode(errors='replace')}.")
        return tuple(values) if len(values) > 1 else values[0] if values else None
