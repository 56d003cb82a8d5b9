"""The stack that the signal handlers of this thread run on.

OpenVINO, compiling a model, gives the thread a stack of its own for signals and frees it later
without a word to the system. Python's handlers (Ctrl-C, SIGTERM) run there, in freed memory: the
process dies of a segmentation fault.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager


class _Stack(ctypes.Structure):
    """Linux's stack_t."""

    _fields_ = (
        ("address", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("size", ctypes.c_size_t),
    )


@contextmanager
def kept_signal_stack() -> Iterator[None]:
    """Let the thread have its signal stack back, or again none, at the end."""
    system, before = ctypes.CDLL(None), _Stack()
    system.sigaltstack(None, ctypes.byref(before))
    try:
        yield
    finally:
        system.sigaltstack(ctypes.byref(before), None)
