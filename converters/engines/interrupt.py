"""Ctrl-C, and signals that are to work like it, while a library of C++ works and calls back.

Python raises KeyboardInterrupt in whatever Python code runs next, which then is a callback, and
NVIDIA's bindings print what a callback raises and go on. So the interrupt is noted, for a callback
to end the work by its answer, and raised when the library is through.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def noted_interrupt() -> Iterator[Callable[[], bool]]:
    """Lend a function that tells whether Ctrl-C came; if so, the end raises KeyboardInterrupt.

    An application's own handlers of signals stay, and in other threads than the main one, where
    Python raises no interrupts, nothing is done.
    """
    came = threading.Event()
    in_main = threading.current_thread() is threading.main_thread()
    handled = [
        number
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if in_main and signal.getsignal(number) is signal.default_int_handler
    ]
    for number in handled:
        signal.signal(number, lambda number, frame: came.set())
    try:
        yield came.is_set
    finally:
        for number in handled:
            signal.signal(number, signal.default_int_handler)
    if came.is_set():
        raise KeyboardInterrupt
