"""The CUDA kernels run on the host: see runtime/cuda/emulation.h for what that shows."""

from __future__ import annotations

import ctypes
import hashlib
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

KERNELS = Path(__file__).parents[1] / "runtime" / "cuda" / "kernels"
HEADER = Path(__file__).parent / "runtime" / "cuda" / "emulation.h"
FLAGS = (
    "-std=c++20", "-O2", "-ffp-contract=off", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror",
    "-Wno-unknown-pragmas", "-fno-strict-aliasing",
    "-fsanitize=alignment,bounds,shift,signed-integer-overflow", "-fno-sanitize-recover=all",
    "-static-libubsan",
)  # fmt: skip


class EmulatedModule:
    """One .cu file, with the interface of `edge_sdk.runtime.cuda.kernels.module.Module`.

    Addresses that kernels get are those of the host. `order` is the order of threads between
    barriers: 0 forward, 1 backward, others at random.
    """

    order = 0

    def __init__(self, name: str, folder: Path) -> None:
        self._library = _built(name, folder)

    def launch(
        self, name: str, grid: Sequence[int], block: Sequence[int], arguments: Sequence[Any],
        stream: int,
    ) -> None:  # fmt: skip
        held = [np.asarray(argument) for argument in arguments]
        addresses = (ctypes.c_void_p * len(held))(*(array.ctypes.data for array in held))
        sides = [(ctypes.c_uint * 3)(*numbers) for numbers in (grid, block)]
        self._library.emulate_thread_order(self.order)
        getattr(self._library, f"emulate_{name}")(*sides, addresses)

    def close(self) -> None:
        pass


def have_compiler() -> bool:
    return shutil.which("g++") is not None


def _built(name: str, folder: Path) -> ctypes.CDLL:
    source = KERNELS / f"{name}.cu"
    text = source.read_text(encoding="utf-8")
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in _sources())).hexdigest()[:16]
    library = folder / f"{name}-{digest}.so"
    if not library.exists():
        kernels = "".join(f"EMULATED({kernel})\n" for kernel in kernel_names(text))
        unit = folder / f"{name}.cpp"
        unit.write_text(f'#include "{HEADER}"\n#include "{source}"\n{kernels}')
        subprocess.run(["g++", *FLAGS, str(unit), "-o", str(library)], check=True)
    return ctypes.CDLL(str(library))


def _sources() -> list[Path]:
    return [*sorted(KERNELS.glob("*.cu*")), HEADER, Path(__file__)]


def kernel_names(text: str) -> list[str]:
    """Name the kernels of a source, those that a macro makes for halves and floats included."""
    found = []
    for name, made in re.findall(r'"C" __global__.*?\b(\w+)(##name)?\(const', text, re.DOTALL):
        found += [f"{name}{kind}" for kind in ("float16", "float32")] if made else [name]
    return found
