"""Run by `test_real_bindings` with NVIDIA's bindings over the stub of a driver."""

from __future__ import annotations

import ctypes
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

ctypes.CDLL(sys.argv[1], mode=ctypes.RTLD_GLOBAL)  # before anybody asks for the real one

from edge_sdk.runtime.cuda.context import Context  # noqa: E402
from edge_sdk.runtime.cuda.driver import CudaError, driver_version  # noqa: E402
from edge_sdk.runtime.cuda.frame import DeviceFrame, check_device  # noqa: E402
from edge_sdk.runtime.cuda.kernels import module  # noqa: E402
from edge_sdk.runtime.cuda.memory import DeviceBuffer, PairedBuffer  # noqa: E402
from edge_sdk.runtime.cuda.stream import Event, Graph, Stream  # noqa: E402


def contexts() -> None:
    context = Context.open()
    assert (context.capability, context.integrated, context.borrowed) == ("sm75", False, False)
    assert driver_version() == (13, 0)
    assert context.free_memory() == (1 << 20, 1 << 30)
    with context:
        assert Context.open().borrowed
    context.close()


def memory_and_streams() -> None:
    stream, pair = Stream(), PairedBuffer((4,), np.float32, integrated=False)
    shared = PairedBuffer((4,), np.float32, integrated=True)
    pair.array[:] = 3
    pair.upload(stream)
    stream.synchronize()
    there = (ctypes.c_float * 4).from_address(pair.address)
    assert list(there) == [3] * 4
    graph = Graph.capture(stream, lambda: pair.upload(stream))
    pair.array[:] = 6
    assert list(there) == [3] * 4
    graph.launch(stream)
    pair.array[:] = 0
    pair.download(stream)
    assert list(pair.array) == [6] * 4
    event = Event(timing=True)
    event.record(stream)
    event.wait()
    assert event.milliseconds_since(event) == 2.5
    stream.wait(event)
    stream.wait_for(stream.handle)
    check_device(DeviceFrame(pair.address, 1, 1, 3, "bgr"), 0)
    for one in (graph, event, shared, pair, stream):
        one.close()


def kernels() -> None:
    module.compiled = lambda source, capability: b"cubin"
    stream, buffer, loaded = Stream(), DeviceBuffer(4), module.Module("letterbox")
    arguments = (np.uint64(buffer.address), np.float32(1.25))
    loaded.launch("kernel", (1, 2, 3), (4, 5, 6), arguments, stream.handle)
    assert ctypes.c_float.from_address(buffer.address).value == 1.25
    for one in (loaded, buffer, stream):
        one.close()


def errors() -> None:
    with pytest.raises(CudaError, match=r"^cuMemAlloc failed \(CUDA_ERROR_OUT_OF_MEMORY\): "):
        DeviceBuffer(1 << 30)
    module.compiled = lambda source, capability: b"not for this driver"
    with pytest.raises(CudaError, match=r"^cuModuleLoadData failed"):
        module.Module("letterbox")


def threads() -> None:
    """Wait for an event, which takes the stub a tenth of a second, beside another thread."""
    event, done, turns = Event(), threading.Event(), 0

    def work() -> None:
        nonlocal turns
        while not done.wait(0.001):
            turns += 1

    other = threading.Thread(target=work)
    other.start()
    before = turns
    event.wait()
    meanwhile = turns - before
    done.set()
    other.join()
    event.close()
    assert meanwhile > 2, f"another thread ran {meanwhile} times while one waited"


contexts()
with Context.open():
    memory_and_streams()
    kernels()
    errors()
    threads()
print("as expected, with", Path(sys.modules["cuda.bindings.driver"].__file__ or "").name)
