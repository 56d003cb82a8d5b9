"""The instruction sets of machines other than this one, cross-compiled and emulated."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
KERNELS = HERE.parents[1] / "runtime" / "kernels"
SOURCES = ("cpu.c", "letterbox.c", "avx2.c", "avx512.c", "neon.c")


def build(compiler: str, program: Path, *flags: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"needs the compiler {compiler}")
    sources = [str(KERNELS / name) for name in SOURCES]
    subprocess.run(
        [compiler, "-std=c11", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off", *flags,
         f"-I{KERNELS}", str(HERE / "instruction_sets.c"), *sources, "-lm", "-o", str(program)],
        check=True,
    )  # fmt: skip


def test_nothing_undefined_happens_here(tmp_path):
    program = tmp_path / "checked"
    build("gcc", program, "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover")
    subprocess.run([str(program)], check=True)


def test_neon_gives_what_the_portable_set_gives(tmp_path):
    program = tmp_path / "neon"
    emulator = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
    if emulator is None:
        pytest.skip("needs the emulator qemu-aarch64")
    build("aarch64-linux-gnu-gcc", program, "-O3", "-static")
    done = subprocess.run([emulator, str(program)], check=True, capture_output=True, text=True)
    assert done.stdout == "neon\n"
