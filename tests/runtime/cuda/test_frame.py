"""Pictures on the GPU through both protocols, with memory of the host in the GPU's place."""

from __future__ import annotations

import ctypes
import gc
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fake_cuda import FakeDriver

from edge_sdk.errors import EdgeError
from edge_sdk.runtime.cuda.context import Context
from edge_sdk.runtime.cuda.frame import (
    _DELETER,
    DeviceFrame,
    _Managed,
    check_device,
    device_frame,
)
from edge_sdk.runtime.cuda.stream import Stream


class OnGpu:
    """An array that says that it lies on a GPU."""

    def __init__(self, array: np.ndarray[Any, Any], stream: int | None = None) -> None:
        self.array = array
        self.__cuda_array_interface__ = {**array.__array_interface__, "stream": stream}


class Capsules:
    """An array that gives DLPack capsules of a GPU, and counts those given back."""

    def __init__(self, array: np.ndarray[Any, Any], device: int = 2) -> None:
        self.array, self.device = array, device
        self.asked: list[int] = []
        self.deleted = 0

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device, 0

    def __dlpack__(self, stream: int) -> Any:
        self.asked.append(stream)
        managed = self.managed = _Managed()
        tensor = managed.tensor
        tensor.data, tensor.device_type = self.array.ctypes.data, self.device
        tensor.ndim, tensor.code, tensor.lanes = self.array.ndim, 1, 1
        tensor.bits = 8 * self.array.itemsize
        sizes = ctypes.c_int64 * self.array.ndim
        self.shape, self.strides = sizes(*self.array.shape), sizes(*self.array.strides)
        tensor.shape = ctypes.cast(self.shape, ctypes.POINTER(ctypes.c_int64))
        tensor.strides = ctypes.cast(self.strides, ctypes.POINTER(ctypes.c_int64))
        self.deleter = _DELETER(self.delete)
        managed.deleter = self.deleter
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = (
            ctypes.py_object,
            [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p],
        )
        return new(ctypes.addressof(managed), b"dltensor", None)

    def delete(self, managed: Any) -> None:
        self.deleted += 1


def picture(*shape: int) -> np.ndarray[Any, Any]:
    return np.zeros(shape, np.uint8)


@pytest.fixture
def stream(cuda: FakeDriver) -> Any:
    with Context.open():
        stream = Stream()
        yield stream
        stream.close()


@pytest.mark.parametrize("wrap", [OnGpu, Capsules])
def test_a_region_of_a_frame_is_taken_where_it_lies(stream: Stream, wrap: Any) -> None:
    part = picture(20, 30, 3)[4:14, 6:]
    frame = device_frame(wrap(part), stream)
    assert frame == DeviceFrame(part.ctypes.data, 10, 24, 90, "bgr")
    assert DeviceFrame.of(wrap(part), stream, "rgb").pixels == "rgb"


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((20, 30, 2), (20, 30, 60, "yuyv")), ((30, 40), (20, 40, 40, "nv12")),
     ((30, 40, 1), (20, 40, 40, "nv12"))],
)  # fmt: skip
def test_cameras_own_formats_are_known_by_their_shape(
    stream: Stream, shape: tuple[int, ...], expected: tuple[Any, ...]
) -> None:
    frame = device_frame(OnGpu(picture(*shape)), stream)
    assert frame is not None
    assert (frame.height, frame.width, frame.pitch, frame.pixels) == expected


@pytest.mark.parametrize("frame", [picture(4, 4, 3), [[1]], Capsules(picture(4, 4, 3), device=1)])
def test_what_lies_on_the_host_is_no_device_frame(stream: Stream, frame: Any) -> None:
    assert device_frame(frame, stream) is None
    with pytest.raises(EdgeError, match="on the GPU was expected"):
        DeviceFrame.of(frame, stream)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 4, 3), np.float32), r"must be uint8 .* not \[4, 4, 3\] \(not uint8\)"),
        (picture(4, 4, 4), r"not \[4, 4, 4\]"),
        (picture(0, 4, 3), r"not \[0, 4, 3\]"),
        (picture(4, 4), r"not \[4, 4\]"),
        (picture(3, 4, 4).transpose(1, 2, 0), "side by side"),
        (picture(8, 8, 3)[:, ::2], "side by side"),
        (picture(8, 8, 3)[::-1], "side by side"),
    ],
)
@pytest.mark.parametrize("wrap", [OnGpu, Capsules])
def test_other_arrays_are_refused(
    stream: Stream, wrap: Any, array: np.ndarray[Any, Any], message: str
) -> None:
    with pytest.raises(EdgeError, match=message):
        device_frame(wrap(array), stream)


def test_the_owners_work_is_waited_for(cuda: FakeDriver, stream: Stream) -> None:
    done: list[str] = []
    other = Stream()
    cuda.put(other.handle, "draw", lambda: done.append("draw"))
    device_frame(OnGpu(picture(4, 4, 3), stream=other.handle), stream)
    assert done == []
    stream.synchronize()
    assert done == ["draw"]
    other.close()


def test_the_default_stream_is_waited_for_where_none_is_told(
    cuda: FakeDriver, stream: Stream
) -> None:
    frame = OnGpu(picture(4, 4, 3))
    cuda.calls.clear()
    device_frame(frame, stream)
    assert "cuStreamWaitEvent" not in cuda.calls
    del frame.__cuda_array_interface__["stream"]
    device_frame(frame, stream)
    assert "cuStreamWaitEvent" in cuda.calls
    stream.synchronize()


def test_a_capsule_is_asked_for_on_our_stream_and_given_back(stream: Stream) -> None:
    source = Capsules(picture(4, 4, 3))
    frame = device_frame(source, stream)
    assert frame is not None
    assert (source.asked, source.deleted) == ([stream.handle], 0)
    del frame
    gc.collect()
    assert source.deleted == 1


def test_a_frame_of_another_gpu_is_refused(stream: Stream) -> None:
    frame = SimpleNamespace(address=(1 << 60) + 8)
    with pytest.raises(EdgeError, match=r"lies on GPU 1 .* open the detector with device=1"):
        check_device(frame, 0)  # type: ignore[arg-type]
