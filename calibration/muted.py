"""Keeping what a C library prints off standard output, where programs read our results.

HiGHS prints lines of debugging past every option that silences it. They go to file descriptor 1,
through the C library's own buffer, and may come out long after the call. So that buffer is
emptied before and after, and the descriptor leads nowhere in between.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def muted() -> Iterator[None]:
    """Discard what any thread writes to standard output meanwhile."""
    sys.stdout.flush()
    try:
        kept = os.dup(1)
    except OSError:  # closed: nothing can be printed
        yield
        return
    try:
        _flush()
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 1)
        yield
    finally:
        _flush()
        os.dup2(kept, 1)
        os.close(kept)


def _flush() -> None:
    """Empty the C library's buffers."""
    with contextlib.suppress(OSError, AttributeError):  # no C library to be found so
        ctypes.CDLL(None).fflush(None)
