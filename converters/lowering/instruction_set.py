"""Whether the 8-bit products of this machine's CPU fit its accumulators."""

from __future__ import annotations

import platform
from pathlib import Path

from edge_sdk.converters.target import Target

_VNNI = frozenset({"avx512_vnni", "avx_vnni", "avx_vnni_int8"})
_X86 = frozenset({"x86_64", "amd64", "i686", "x86"})


def needs_seven_bit_weights(target: str) -> bool:
    """Tell whether pairs of products may saturate in a target's engines: on x86 without VNNI.

    An x86 whose flags cannot be read is taken for one without.
    """
    if not Target.parse(target).on_cpu:
        return False
    if platform.machine().lower() not in _X86:
        return False
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return True
    flags = next((line for line in lines if line.startswith("flags")), "")
    return not _VNNI & set(flags.split())
