"""A fake CUDA driver, for control flow only: nothing here says that anything works on a GPU.

Its memory is the host's. What is put into a stream is done when somebody waits for it, and not
before: a result that is read too early, or a buffer that is written too early, shows. Every call
is counted, whatever is made must be given back, and any call can be told to fail.
"""

from __future__ import annotations

import ctypes
import enum
import threading
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

Work = Callable[[], None]
DEVICES = 2
ORDINAL, INTEGRATED, MAJOR, MINOR = 9, 18, 75, 76


class CUresult(enum.IntEnum):
    CUDA_SUCCESS = 0
    CUDA_ERROR_INVALID_VALUE = 1
    CUDA_ERROR_OUT_OF_MEMORY = 2
    CUDA_ERROR_INVALID_CONTEXT = 201
    CUDA_ERROR_ILLEGAL_ADDRESS = 700
    CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED = 900
    CUDA_ERROR_STREAM_CAPTURE_INVALIDATED = 901


class CUdevice_attribute(enum.IntEnum):
    CU_DEVICE_ATTRIBUTE_INTEGRATED = INTEGRATED
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = MAJOR
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = MINOR


class CUpointer_attribute(enum.IntEnum):
    CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL = ORDINAL


class CUstreamCaptureMode(enum.IntEnum):
    CU_STREAM_CAPTURE_MODE_THREAD_LOCAL = 1


class FakeStream:
    """Work that waits, and what is being recorded."""

    def __init__(self) -> None:
        self.waiting: list[tuple[str, Work]] = []
        self.recording: list[tuple[str, Work]] | None = None
        self.broken = False

    def put(self, name: str, work: Work) -> None:
        (self.waiting if self.recording is None else self.recording).append((name, work))


class FakeDriver:
    """Stands for the module cuda.bindings.driver.

    Attributes
    ----------
    calls : names of all calls, in their order.
    done : what the streams have done: (stream, name of the work), in the order of doing.
    copied : "upload" and "download" -> bytes.
    live : what has been made and not given back: handle -> kind.
    failing : name of a call -> the error that it gives.
    """

    CUresult = CUresult
    CUdevice_attribute = CUdevice_attribute
    CUpointer_attribute = CUpointer_attribute
    CUstreamCaptureMode = CUstreamCaptureMode
    CUDA_VERSION = 12090

    def __init__(self, integrated: bool = False, version: int = 13000) -> None:
        self.integrated = integrated
        self.version = version
        self.calls: list[str] = []
        self.done: list[tuple[int, str]] = []
        self.copied: Counter[str] = Counter()
        self.live: dict[int, str] = {}
        self.failing: dict[str, CUresult] = {}
        self.primary = [0] * DEVICES
        self._objects: dict[int, Any] = {}
        self._stacks = threading.local()
        self._lock = threading.RLock()
        self._next = 0x1000

    def __getattribute__(self, name: str) -> Any:
        value = object.__getattribute__(self, name)
        if not name.startswith("cu"):
            return value

        def call(*arguments: Any) -> Any:
            with self._lock:
                self.calls.append(name)
                if name in self.failing:
                    return (self.failing[name], None)
                result = value(*arguments)
            return result if isinstance(result, tuple) else (CUresult.CUDA_SUCCESS, result)

        return call

    # What tests ask.

    def stack(self) -> list[int]:
        """Return this thread's contexts, the current one last."""
        if not hasattr(self._stacks, "contexts"):
            self._stacks.contexts = []
        contexts: list[int] = self._stacks.contexts
        return contexts

    def put(self, stream: int, name: str, work: Work) -> None:
        """Let a stream do something, as a kernel would."""
        self._current()
        self._objects[stream].put(name, work)

    def library(self) -> Any:
        """Return the driver's C interface, as far as it is asked without the bindings."""

        def cuDriverGetVersion(reference: Any) -> int:
            reference._obj.value = self.version
            return 0

        return SimpleNamespace(cuDriverGetVersion=cuDriverGetVersion)

    def array(self, address: int, shape: tuple[int, ...], dtype: Any) -> np.ndarray[Any, Any]:
        """Return memory at an address."""
        kind = np.dtype(dtype)
        size = int(np.prod(shape)) * kind.itemsize
        memory = (ctypes.c_ubyte * size).from_address(address)
        return np.frombuffer(memory, kind).reshape(shape)

    def foreign_context(self, device: int = 0) -> int:
        """Return a context that an application made, current in this thread."""
        handle = 0x700 + device
        self._objects[handle] = device
        self.stack().append(handle)
        return handle

    def break_capture(self, stream: int) -> None:
        """Do in a stream what no capture allows."""
        self._objects[stream].broken = self._objects[stream].recording is not None

    # The driver's functions.

    def cuInit(self, flags: int) -> tuple[Any, ...]:
        return (CUresult.CUDA_SUCCESS,)

    def cuDriverGetVersion(self) -> int:
        return self.version

    def cuGetErrorName(self, error: CUresult) -> bytes:
        return error.name.encode()

    def cuGetErrorString(self, error: CUresult) -> bytes:
        return error.name.lower().replace("_", " ").encode()

    def cuDeviceGetCount(self) -> int:
        return DEVICES

    def cuDeviceGet(self, ordinal: int) -> int:
        return ordinal

    def cuDeviceGetAttribute(self, attribute: CUdevice_attribute, device: int) -> int:
        return {INTEGRATED: int(self.integrated), MAJOR: 7, MINOR: 5 + device}[attribute]

    def cuDevicePrimaryCtxRetain(self, device: int) -> int:
        self.primary[device] += 1
        handle = 0x100 + device
        self._objects[handle] = device
        return handle

    def cuDevicePrimaryCtxRelease(self, device: int) -> tuple[Any, ...]:
        self.primary[device] -= 1
        return (CUresult.CUDA_SUCCESS,)

    def cuCtxGetCurrent(self) -> int:
        return self.stack()[-1] if self.stack() else 0

    def cuCtxGetDevice(self) -> int:
        return int(self._objects[self._current()])

    def cuCtxSynchronize(self) -> tuple[Any, ...]:
        self._current()
        return (CUresult.CUDA_SUCCESS,)

    def cuCtxPushCurrent(self, context: int) -> tuple[Any, ...]:
        self.stack().append(context)
        return (CUresult.CUDA_SUCCESS,)

    def cuCtxPopCurrent(self) -> int:
        return self.stack().pop()

    def cuMemGetInfo(self) -> tuple[Any, ...]:
        self._current()
        return CUresult.CUDA_SUCCESS, 512 << 20, 16 << 30

    def cuMemAlloc(self, size: int) -> int:
        return self._memory("device memory", size)

    def cuMemFree(self, address: int) -> tuple[Any, ...]:
        return self._give_back(address, "device memory")

    def cuMemHostAlloc(self, size: int, flags: int) -> int:
        return self._memory("host memory", size)

    def cuMemFreeHost(self, address: int) -> tuple[Any, ...]:
        return self._give_back(address, "host memory")

    def cuMemHostGetDevicePointer(self, address: int, flags: int) -> int:
        assert self.live[address] == "host memory"
        return address

    def cuMemcpyHtoDAsync(self, target: int, source: int, size: int, stream: int) -> Any:
        assert self.live[source] == "host memory"
        return self._copy("upload", target, source, size, stream)

    def cuMemcpyDtoHAsync(self, target: int, source: int, size: int, stream: int) -> Any:
        assert self.live[target] == "host memory"
        return self._copy("download", target, source, size, stream)

    def cuMemsetD8(self, address: int, value: int, count: int) -> tuple[Any, ...]:
        assert self.live[address] == "device memory"
        ctypes.memset(address, value, count)
        return (CUresult.CUDA_SUCCESS,)

    def cuPointerGetAttribute(self, attribute: CUpointer_attribute, address: int) -> int:
        assert attribute == ORDINAL
        return 1 if address >> 60 else 0

    def cuStreamCreate(self, flags: int) -> int:
        assert flags == 1
        return self._make("stream", FakeStream())

    def cuStreamDestroy(self, stream: int) -> tuple[Any, ...]:
        return self._give_back(stream, "stream")

    def cuStreamWaitEvent(self, stream: int, event: int, flags: int) -> tuple[Any, ...]:
        mark = self._objects[event]
        self._objects[stream].put("wait", lambda: self._run(*mark) if mark else None)
        return (CUresult.CUDA_SUCCESS,)

    def cuEventCreate(self, flags: int) -> int:
        return self._make("event", None)

    def cuEventRecord(self, event: int, stream: int) -> tuple[Any, ...]:
        if stream in self._objects:  # not the application's own
            self._objects[event] = (stream, len(self._objects[stream].waiting))
        return (CUresult.CUDA_SUCCESS,)

    def cuEventSynchronize(self, event: int) -> tuple[Any, ...]:
        self._current()
        stream, until = self._objects[event]
        if self._objects[stream].recording is not None:
            self._objects[stream].broken = True
            return (CUresult.CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,)
        self._run(stream, until)
        return (CUresult.CUDA_SUCCESS,)

    def cuEventElapsedTime(self, start: int, end: int) -> float:
        return 1.0

    def cuEventDestroy(self, event: int) -> tuple[Any, ...]:
        return self._give_back(event, "event")

    def cuStreamBeginCapture(self, stream: int, mode: CUstreamCaptureMode) -> tuple[Any, ...]:
        self._objects[stream].recording = []
        return (CUresult.CUDA_SUCCESS,)

    def cuStreamEndCapture(self, stream: int) -> Any:
        state = self._objects[stream]
        recorded, state.recording = state.recording, None
        broken, state.broken = state.broken, False
        if broken:
            return CUresult.CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, None
        return self._make("graph", recorded)

    def cuGraphInstantiate(self, graph: int, flags: int) -> int:
        return self._make("executable graph", self._objects[graph])

    def cuGraphDestroy(self, graph: int) -> tuple[Any, ...]:
        return self._give_back(graph, "graph")

    def cuGraphLaunch(self, graph: int, stream: int) -> tuple[Any, ...]:
        self._current()
        self._objects[stream].waiting += self._objects[graph]
        return (CUresult.CUDA_SUCCESS,)

    def cuGraphExecDestroy(self, graph: int) -> tuple[Any, ...]:
        return self._give_back(graph, "executable graph")

    # How it works inside.

    def _current(self) -> int:
        assert self.stack(), "no context is current"
        return self.stack()[-1]

    def _make(self, kind: str, what: Any) -> int:
        self._current()
        self._next += 0x10
        self.live[self._next] = kind
        self._objects[self._next] = what
        return self._next

    def _memory(self, kind: str, size: int) -> int:
        self._current()
        memory = ctypes.create_string_buffer(size)
        address = ctypes.addressof(memory)
        self.live[address] = kind
        self._objects[address] = memory
        return address

    def _give_back(self, handle: int, kind: str) -> tuple[Any, ...]:
        self._current()
        assert self.live.pop(handle) == kind
        del self._objects[handle]
        return (CUresult.CUDA_SUCCESS,)

    def _copy(self, name: str, target: int, source: int, size: int, stream: int) -> Any:
        self._current()

        def work() -> None:
            ctypes.memmove(target, source, size)
            self.copied[name] += size

        self._objects[stream].put(name, work)
        return (CUresult.CUDA_SUCCESS,)

    def _run(self, stream: int, until: int | None = None) -> None:
        state = self._objects[stream]
        count = len(state.waiting) if until is None else min(until, len(state.waiting))
        now, state.waiting = state.waiting[:count], state.waiting[count:]
        for name, work in now:
            self.done.append((stream, name))
            work()
