"""Pictures that lie on the GPU already: taken as they are, never copied.

Any object with DLPack (`__dlpack__`; torch, cupy, jax, cvcuda) or with `__cuda_array_interface__`
(pycuda, numba) is understood. What its owner still has to do to the picture is waited for on the
GPU. DLPack comes first where there are both, since torch's array interface does not tell its
stream.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from edge_sdk.errors import EdgeError
from edge_sdk.runtime.cuda.driver import call, driver
from edge_sdk.runtime.cuda.stream import Stream

Pixels = Literal["bgr", "rgb", "nv12", "yuyv"]

_ON_GPU = (2, 13)  # kDLCUDA and kDLCUDAManaged
_DEFAULT_STREAM = 1  # its handle, in both protocols
_TENSOR, _USED = b"dltensor", b"used_dltensor"


@dataclass(frozen=True)
class DeviceFrame:
    """A picture on the GPU.

    Attributes
    ----------
    address : of the first pixel.
    height, width : of the picture in pixels.
    pitch : bytes from one row to the next.
    pixels : "bgr" and "rgb", 3 bytes each; "yuyv", 2 bytes; "nv12", a plane of luma, and behind
        its `height` rows one of half as many rows of colour.
    owner : what keeps the memory.
    colours : how "nv12" and "yuyv" stand for colours.
    full_range : whether their luma is 0..255, not 16..235.
    chroma, chroma_pitch : address of the plane of colour and the bytes from one of its rows to
        the next, for "nv12" whose planes lie apart; None if it follows the luma.
    """

    address: int
    height: int
    width: int
    pitch: int
    pixels: Pixels
    owner: Any = field(default=None, repr=False, compare=False)
    colours: Literal["bt601", "bt709"] = "bt601"
    full_range: bool = False
    chroma: int | None = None
    chroma_pitch: int = 0

    @classmethod
    def of(cls, array: Any, stream: Stream, pixels: Literal["bgr", "rgb"] = "bgr") -> DeviceFrame:
        """Take an array on the GPU as a picture.

        Parameters
        ----------
        array : uint8 [H, W, 3]; [H, W, 2] is YUYV, and [3 H / 2, W] is NV12. Rows may lie apart,
            the pixels of a row may not.
        stream : will wait for what the array's owner has under way.
        pixels : the order of three channels.

        Raises
        ------
        EdgeError
            If the array is not as described, or not on the GPU.
        """
        view = _view(array, stream)
        if view is None:
            raise EdgeError(
                f"A {type(array).__name__} on the GPU was expected (with __cuda_array_interface__, "
                "or DLPack of a CUDA device)."
            )
        return _picture(view, pixels)


def device_frame(frame: Any, stream: Stream) -> DeviceFrame | None:
    """Return a frame that lies on the GPU, in BGR where it has three channels; else None."""
    if isinstance(frame, DeviceFrame):
        return frame
    view = _view(frame, stream)
    return None if view is None else _picture(view, "bgr")


def check_device(frame: DeviceFrame, device: int) -> None:
    """Refuse a picture that lies on another GPU, which would end the program's use of this one.

    Raises
    ------
    EdgeError
        If it does.
    """
    attribute = driver().CUpointer_attribute.CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL
    found = int(call("cuPointerGetAttribute", attribute, frame.address))
    if found != device:
        raise EdgeError(
            f"The frame lies on GPU {found} and the detector runs on GPU {device}: copy the frame "
            f"there, or open the detector with device={found}."
        )


@dataclass(frozen=True)
class _View:
    """An array as both protocols describe it; strides in bytes."""

    address: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    is_bytes: bool
    owner: Any


def _view(array: Any, stream: Stream) -> _View | None:
    where = getattr(array, "__dlpack_device__", None)
    if where is not None:
        return _by_dlpack(array, stream) if int(where()[0]) in _ON_GPU else None
    interface = getattr(array, "__cuda_array_interface__", None)
    return None if interface is None else _by_interface(array, interface, stream)


def _by_interface(array: Any, interface: dict[str, Any], stream: Stream) -> _View:
    """Read the CUDA Array Interface, versions 2 (which tells no stream) and 3."""
    producer = interface.get("stream", _DEFAULT_STREAM)
    if producer is not None:
        stream.wait_for(int(producer))
    shape = tuple(map(int, interface["shape"]))
    kind = str(interface["typestr"])
    strides = interface.get("strides")
    if strides is None:
        strides = _packed(shape, int(kind[2:]))
    return _View(
        int(interface["data"][0]), shape, tuple(map(int, strides)), kind[1:] == "u1", array
    )


def _by_dlpack(array: Any, stream: Stream) -> _View:
    """Take a DLPack capsule; its deleter is called when the view is gone."""
    owner = _Capsule(array.__dlpack__(stream=stream.handle))
    tensor = owner.tensor
    shape = tuple(tensor.shape[axis] for axis in range(tensor.ndim))
    size = max(tensor.bits * tensor.lanes // 8, 1)
    strides = (
        tuple(size * tensor.strides[axis] for axis in range(tensor.ndim))
        if tensor.strides
        else _packed(shape, size)
    )
    is_bytes = (tensor.code, tensor.bits, tensor.lanes) == (1, 8, 1)
    return _View((tensor.data or 0) + tensor.byte_offset, shape, strides, is_bytes, owner)


def _packed(shape: tuple[int, ...], size: int) -> tuple[int, ...]:
    strides = [size]
    for length in shape[:0:-1]:
        strides.insert(0, strides[0] * length)
    return tuple(strides)


def _picture(view: _View, pixels: Pixels) -> DeviceFrame:
    shape = view.shape
    channels = shape[2] if len(shape) == 3 else 1
    known = view.is_bytes and len(shape) in (2, 3) and min(shape) > 0 and channels <= 3
    if not known or (channels == 1 and (shape[0] % 3 or shape[1] % 2)):
        kind = "uint8" if view.is_bytes else "not uint8"
        raise EdgeError(
            f"A frame on the GPU must be uint8 [height, width, 3] in BGR, [height, width, 2] in "
            f"YUYV or [3 height / 2, width] in NV12, not {list(shape)} ({kind})."
        )
    inner = (channels, 1)[: len(shape) - 1]
    if view.strides[1:] != inner or view.strides[0] < shape[1] * channels:
        raise EdgeError(
            "The pixels of a row of a frame must lie side by side (strides "
            f"{[shape[1] * channels, *inner]}, rows may lie further apart), not "
            f"{list(view.strides)}: copy it first."
        )
    height = shape[0] * 2 // 3 if channels == 1 else shape[0]
    kind_of: dict[int, Pixels] = {1: "nv12", 2: "yuyv", 3: pixels}
    return DeviceFrame(
        view.address, height, shape[1], view.strides[0], kind_of[channels], view.owner
    )


class _DLTensor(ctypes.Structure):
    """DLPack's tensor: device, dtype (code, bits, lanes) and shape, as its header has them."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class _Managed(ctypes.Structure):
    pass


_DELETER = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Managed))
_Managed._fields_ = [
    ("tensor", _DLTensor),
    ("manager", ctypes.c_void_p),
    ("deleter", _DELETER),
]


class _Capsule:
    """A DLPack capsule that we have taken, with the tensor in it."""

    def __init__(self, capsule: Any) -> None:
        pointer = _python("PyCapsule_GetPointer", ctypes.c_void_p)(capsule, _TENSOR)
        _python("PyCapsule_SetName", ctypes.c_int)(capsule, _USED)
        self._managed = ctypes.cast(pointer, ctypes.POINTER(_Managed))
        # The capsule points at its name, and its destructor reads it: both live as long as this.
        self._capsule, self._name = capsule, _USED
        self.tensor: Any = self._managed.contents.tensor

    def __del__(self) -> None:
        if self._managed.contents.deleter:
            self._managed.contents.deleter(self._managed)


def _python(name: str, result: Any) -> Callable[[Any, bytes], Any]:
    prototype = ctypes.PYFUNCTYPE(result, ctypes.py_object, ctypes.c_char_p)
    return prototype((name, ctypes.pythonapi))
