"""Calls, contexts, streams and memory, over a fake driver: their order and their errors."""

from __future__ import annotations

import gc
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from fake_cuda import CUresult, FakeDriver

from edge_sdk.errors import EdgeError, MissingExtra
from edge_sdk.runtime.cuda import driver as driver_module
from edge_sdk.runtime.cuda.context import Context
from edge_sdk.runtime.cuda.driver import CudaError, call
from edge_sdk.runtime.cuda.memory import DeviceBuffer, HostBuffer, PairedBuffer
from edge_sdk.runtime.cuda.replay import Replay
from edge_sdk.runtime.cuda.resources import Resources
from edge_sdk.runtime.cuda.stream import Event, Graph, Stream


def test_without_a_driver_nothing_of_nvidia_is_loaded() -> None:
    """The real thing, where no driver is."""
    if Path("/proc/driver/nvidia/version").exists():
        pytest.skip("there is a driver here")
    driver_module.driver.cache_clear()
    with pytest.raises(EdgeError, match="no NVIDIA driver here"):
        call("cuDeviceGetCount")


@pytest.mark.parametrize(("version", "extra"), [(12060, "cuda12"), (13000, "cuda")])
def test_missing_bindings_are_named(
    cuda: FakeDriver, monkeypatch: pytest.MonkeyPatch, version: int, extra: str
) -> None:
    cuda.version = version
    monkeypatch.setitem(sys.modules, "cuda.bindings.driver", None)
    with pytest.raises(MissingExtra, match=rf"cuda-bindings.*edge-sdk\[{extra}\]"):
        call("cuDeviceGetCount")


def test_an_old_driver_is_refused(cuda: FakeDriver) -> None:
    cuda.version = 11040
    with pytest.raises(EdgeError, match=r"for CUDA 11\.4, and 12\.0 is the oldest"):
        call("cuDeviceGetCount")


def test_bindings_that_are_too_new_for_the_driver_are_refused(cuda: FakeDriver) -> None:
    """What their compiler makes of the kernels would be refused by the driver, or worse."""
    cuda.version = 12060
    assert call("cuDeviceGetCount") == 2
    driver_module.driver.cache_clear()
    cuda.CUDA_VERSION = 13050
    with pytest.raises(
        EdgeError, match=r"for CUDA 12\.6, and .* are for 13\.5: .*edge-sdk\[cuda12\]"
    ):
        call("cuDeviceGetCount")


def test_a_function_that_the_driver_lacks(cuda: FakeDriver) -> None:
    def lacking() -> None:
        raise RuntimeError("Function not found")

    cuda.cuNew = lacking  # type: ignore[attr-defined]
    with pytest.raises(EdgeError, match="has no cuNew: install a newer one"):
        call("cuNew")


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (CUresult.CUDA_ERROR_OUT_OF_MEMORY, "too little free memory; end other programs"),
        (CUresult.CUDA_ERROR_ILLEGAL_ADDRESS, "was lost to this program; start it again"),
        (CUresult.CUDA_ERROR_INVALID_VALUE, "cuda error invalid value"),
    ],
)
def test_an_error_names_the_call_and_what_to_do(
    cuda: FakeDriver, error: CUresult, advice: str
) -> None:
    cuda.failing["cuMemAlloc"] = error
    with pytest.raises(CudaError, match=rf"^cuMemAlloc failed \({error.name}\): .*{advice}") as hit:
        DeviceBuffer(16)
    assert hit.value.code == error


def test_a_gpu_that_is_not_there(cuda: FakeDriver) -> None:
    with pytest.raises(EdgeError, match="There is no GPU 2: CUDA sees 2"):
        Context.open(2)


def test_the_callers_context_is_used_where_it_is_of_this_gpu(cuda: FakeDriver) -> None:
    own = cuda.foreign_context(0)
    context = Context.open(0)
    assert (context.handle, context.borrowed, cuda.primary) == (own, True, [0, 0])
    other = Context.open(1)
    assert (other.borrowed, other.capability, cuda.primary) == (False, "sm76", [0, 1])
    with other:
        assert cuda.stack() == [own, other.handle]
    assert cuda.stack() == [own]
    del other
    assert cuda.primary == [0, 0]


def test_any_thread_may_use_a_context(cuda: FakeDriver) -> None:
    context = Context.open()

    def work(_: int) -> int:
        with context:
            buffer = DeviceBuffer(8)
            buffer.close()
        return len(cuda.stack())

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(work, range(20))) == {0}


def test_copies_are_done_when_the_stream_comes_to_them(cuda: FakeDriver) -> None:
    with Context.open():
        stream, pair = Stream(), PairedBuffer((2, 3), np.uint8, integrated=False)
        pair.array[...] = 7
        pair.upload(stream)
        there = cuda.array(pair.address, (2, 3), np.uint8)
        assert not there.any()
        stream.synchronize()
        assert (there == 7).all()
        there[...] = 9
        pair.download(stream)
        stream.synchronize()
        assert (pair.array == 9).all()
        pair.close()
        pair.close()
        stream.close()


def test_an_integrated_gpu_shares_memory(cuda: FakeDriver) -> None:
    with Context.open():
        stream, pair = Stream(), PairedBuffer((4,), np.float32, integrated=True)
        pair.upload(stream)
        pair.download(stream)
        assert cuda.calls.count("cuMemAlloc") == 0
        assert not [name for name in cuda.calls if "Memcpy" in name]
        pair.array[...] = 3
        assert (cuda.array(pair.address, (4,), np.float32) == 3).all()
        pair.close()
        stream.close()


def test_half_a_pair_is_given_back(cuda: FakeDriver) -> None:
    cuda.failing["cuMemAlloc"] = CUresult.CUDA_ERROR_OUT_OF_MEMORY
    with Context.open(), pytest.raises(CudaError):
        PairedBuffer((4,), np.float32, integrated=False)


def test_a_stream_waits_for_another(cuda: FakeDriver) -> None:
    order: list[str] = []
    with Context.open():
        first, second = Stream(), Stream()
        cuda.put(first.handle, "a", lambda: order.append("a"))
        second.wait_for(first.handle)
        cuda.put(first.handle, "late", lambda: order.append("late"))
        cuda.put(second.handle, "b", lambda: order.append("b"))
        second.synchronize()
        assert order == ["a", "b"]
        start, end = Event(timing=True), Event(timing=True)
        start.record(first)
        end.record(first)
        assert end.milliseconds_since(start) == 1.0
        for one in (start, end, first, second):
            one.close()


def test_a_graph_does_nothing_until_it_is_launched(cuda: FakeDriver) -> None:
    order: list[str] = []
    with Context.open():
        stream = Stream()
        graph = Graph.capture(
            stream, lambda: cuda.put(stream.handle, "a", lambda: order.append("a"))
        )
        stream.synchronize()
        assert order == []
        graph.launch(stream)
        graph.launch(stream)
        stream.synchronize()
        assert order == ["a", "a"]
        graph.close()
        stream.close()


def test_no_garbage_is_collected_while_work_is_captured(cuda: FakeDriver) -> None:
    """What is freed on the GPU meanwhile would end the capture."""
    collected: list[bool] = []
    with Context.open():
        stream = Stream()
        Graph.capture(stream, lambda: collected.append(gc.isenabled())).close()
        with pytest.raises(ZeroDivisionError):
            Graph.capture(stream, lambda: collected.append(bool(1 / 0)))
        stream.close()
    assert collected == [False]
    assert gc.isenabled()


@pytest.mark.parametrize("captured", [True, False])
def test_work_is_replayed_whether_or_not_it_can_be_captured(
    cuda: FakeDriver, captured: bool
) -> None:
    order: list[str] = []
    context = Context.open()
    resources = Resources(context)
    with context:
        stream = resources.keep(Stream())

        def work() -> None:
            cuda.put(stream.handle, "work", lambda: order.append("work"))
            if not captured:
                stream.synchronize()

        replay = Replay(stream, work, resources)
        assert replay.captured is captured
        ready = len(order)
        replay()
        stream.synchronize()
        assert len(order) == ready + 1
    resources.close()
    resources.close()


def test_resources_are_given_back_in_reverse_although_one_fails(cuda: FakeDriver) -> None:
    context = Context.open()
    resources = Resources(context)
    with context:
        for _ in range(2):
            resources.keep(HostBuffer((4,), np.uint8))
        resources.keep(Stream())
    resources.close()
    assert cuda.calls[-4:-1] == ["cuStreamDestroy", "cuMemFreeHost", "cuMemFreeHost"]
    with context:
        cuda.failing["cuStreamCreate"] = CUresult.CUDA_ERROR_OUT_OF_MEMORY
        with pytest.raises(CudaError):
            Stream()
        cuda.failing.clear()
    with context:
        lost = Resources(context)
        lost.keep(HostBuffer((4,), np.uint8))
        lost.keep(Stream())
    cuda.failing["cuStreamDestroy"] = CUresult.CUDA_ERROR_ILLEGAL_ADDRESS
    lost.close()
    assert list(cuda.live.values()) == ["stream"]
    cuda.live.clear()
