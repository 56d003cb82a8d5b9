"""Ctrl-C while a library calls back and swallows what its callbacks raise."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest
from small_graphs import layers_of, table_of
from tiny import write_tiny_model

from edge_sdk.converters.engines.interrupt import noted_interrupt
from edge_sdk.converters.engines.tensorrt_builder import BuildOptions, ParsedNetwork, build, parse
from edge_sdk.converters.lowering.tensorrt import lower
from edge_sdk.converters.model_file import load_model


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_is_noted_and_raised_at_the_end(number: signal.Signals) -> None:
    noted = []

    def work() -> None:
        with noted_interrupt() as came:
            noted.append(came())
            signal.raise_signal(number)
            noted.append(came())

    before = signal.signal(number, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            work()
        assert noted == [False, True]
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)


def test_an_applications_own_handler_stays() -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        with noted_interrupt() as came:
            signal.raise_signal(signal.SIGINT)
            assert not came()
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [signal.SIGINT]


def test_other_threads_are_left_alone() -> None:
    def work() -> bool:
        with noted_interrupt() as came:
            return came()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(work).result() is False


def test_a_build_that_only_logs_is_interrupted(trt: ModuleType, tmp_path: Path) -> None:
    """The signal comes while the compiler works, and Python runs next where it logs."""
    model = load_model(write_tiny_model(tmp_path / "tiny.onnx"))
    for node in model.graph.node:
        node.name = node.output[0]
    lowered = lower(model, table_of(model, {}), layers_of(model))
    parsed = parse(trt, lowered.SerializeToString())
    thread = threading.Thread(target=_interrupt_when_logging, args=(parsed,))
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        build(parsed, BuildOptions(), "sm75")
    thread.join()


def _interrupt_when_logging(parsed: ParsedNetwork) -> None:
    before = len(parsed.log.lines)
    while len(parsed.log.lines) == before:
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGINT)
