"""The CUDA letterbox against the C kernels."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import emulated_cuda
import numpy as np
import pytest

from edge_sdk.errors import EdgeError
from edge_sdk.head_spec import Preprocessing
from edge_sdk.runtime.cuda.frame import DeviceFrame
from edge_sdk.runtime.cuda.kernels.letterbox import CudaLetterbox, conversion
from edge_sdk.runtime.letterbox import Letterbox

INPUT = (96, 160)
SIZES = [(1, 1), (1, 9), (7, 1), (2, 2), (33, 57), (96, 160), (97, 131), (211, 460), (288, 480),
         (500, 333), (381, 637), (720, 1280), (30, 2000), (3000, 40)]  # fmt: skip
DTYPES = ["float32", "float16", "int8", "uint8"]
FORMATS = ["bgr", "rgb", "nv12", "yuyv"]
PIXELS = Preprocessing(channel_order="bgr", scale=1.0)


class Frame:
    """A frame of noise, or of the pixels given, in any format, with rows that lie apart.

    Attributes
    ----------
    planes : what a reader takes from it, [h, w, 3]: B, G, R or Y, U, V of each pixel.
    """

    def __init__(
        self, machine, size, pixels="bgr", gap=0, offset=0, planes=None, separate=False, **more
    ) -> None:
        height, width = size
        random = np.random.default_rng(height * 10007 + width)
        if planes is None:
            planes = random.integers(0, 256, (height, width, 3), np.uint8)
        rows, self.planes = _packed(planes, pixels)
        pitch = rows.shape[1] + gap
        if separate:
            more |= {"chroma": machine.put(rows[height:]), "chroma_pitch": rows.shape[1]}
            rows = rows[:height]
        memory = random.integers(0, 256, rows.shape[0] * pitch + offset, np.uint8)
        memory[offset:].reshape(-1, pitch)[:, : rows.shape[1]] = rows
        address = machine.put(memory) + offset
        self.frame = DeviceFrame(address, height, width, pitch, pixels, **more)


def _packed(planes, pixels):
    """Return the rows of bytes of a format, and the three planes that a reader takes from them."""
    height, width = planes.shape[:2]
    if pixels in ("bgr", "rgb"):
        return planes.reshape(height, -1), planes if pixels == "bgr" else planes[..., ::-1]
    across = np.arange(width) // 2
    if pixels == "yuyv":
        chroma = planes[:, ::2, 1:]
        rows = np.zeros((height, chroma.shape[1], 4), np.uint8)
        rows[..., 1::2] = chroma
        rows[:, :, 0] = planes[:, ::2, 0]
        rows[:, : width // 2, 2] = planes[:, 1::2, 0]
        seen = chroma[:, across]
        rows = rows.reshape(height, -1)
    else:
        chroma = planes[::2, ::2, 1:]
        seen = chroma[np.arange(height) // 2][:, across]
        rows = np.zeros((height + len(chroma), 2 * chroma.shape[1]), np.uint8)
        rows[:height, :width] = planes[..., 0]
        rows[height:] = chroma.reshape(len(chroma), -1)
    return rows, np.dstack([planes[..., 0], seen])


def run(machine, frames, wants=PIXELS, dtype="float32", order=0):
    letterbox = CudaLetterbox(wants, INPUT, dtype)
    machine.order(order, letterbox._module)
    out = machine.put(np.zeros((len(frames), 3, *INPUT), dtype))
    placements = letterbox([frame.frame for frame in frames], out, 0)
    letterbox.close()
    return machine.take(out), placements


def by_c_kernels(frame, wants=PIXELS, dtype="float32"):
    """Letterbox on the CPU: BGR with its kernels; YUV too, converted afterwards in floats."""
    letterbox = Letterbox(wants, INPUT)
    out = np.zeros((3, *INPUT), dtype)
    if frame.frame.pixels in ("bgr", "rgb"):
        placement = letterbox(np.ascontiguousarray(frame.planes), out)
        return out, placement
    planes = np.zeros((3, *INPUT), np.float32)
    plain = replace(wants, channel_order="bgr", scale=1.0)
    placement = Letterbox(plain, INPUT)(np.ascontiguousarray(frame.planes), planes)
    inside = np.zeros((3, *INPUT), np.float32)
    Letterbox(replace(plain, pad_value=0), INPUT)(np.full_like(frame.planes, 255), inside)
    bgr = to_bgr(planes, frame.frame.colours, frame.frame.full_range)
    if wants.channel_order == "rgb":
        bgr = bgr[::-1]
    return np.where(inside > 0, bgr, wants.pad_value) * wants.scale, placement


def to_bgr(planes, colours="bt601", full_range=False):
    """From Y, U, V to B, G, R by the definitions of ITU-R BT.601 and BT.709, in floats."""
    red, blue = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}[colours]
    y, u, v = planes.astype(np.float64)
    if not full_range:
        y, u, v = (y - 16) * 255 / 219, (u - 128) * 255 / 224 + 128, (v - 128) * 255 / 224 + 128
    y = np.maximum(y, 0)
    r, b = y + 2 * (1 - red) * (v - 128), y + 2 * (1 - blue) * (u - 128)
    g = (y - red * r - blue * b) / (1 - red - blue)
    return np.clip(np.stack([b, g, r]), 0, 255)


@pytest.mark.parametrize("size", SIZES)
def test_packed_frames_give_the_bits_of_the_c_kernels(machine, size):
    for number, dtype in enumerate(DTYPES):
        wants = Preprocessing(
            margin=3 * (number % 2), placement=("center", "top_left")[number // 2],
            channel_order=("rgb", "bgr")[number % 2],
        )  # fmt: skip
        pixels = ("bgr", "rgb")[(number + size[0]) % 2]
        frame = Frame(machine, size, pixels, gap=5 * number, offset=number)
        found, placements = run(machine, [frame], wants, dtype, order=number)
        expected, placement = by_c_kernels(frame, wants, dtype)
        assert np.array_equal(found[0], expected), dtype
        assert placements == [placement]


@pytest.mark.parametrize("pixels", ["nv12", "yuyv"])
@pytest.mark.parametrize("size", SIZES)
def test_yuv_frames_are_right_within_a_step(machine, size, pixels):
    for number, colours in enumerate(["bt601", "bt709"]):
        frame = Frame(
            machine, size, pixels, gap=4 * number, offset=4 * number, colours=colours,
            full_range=bool(number),
        )  # fmt: skip
        wants = Preprocessing(margin=number, channel_order=("bgr", "rgb")[number], scale=1.0)
        expected, _ = by_c_kernels(frame, wants)
        floats, _ = run(machine, [frame], wants, order=number)
        assert np.abs(floats[0] - expected).max() < 0.1
        bytes_, _ = run(machine, [frame], wants, "uint8")
        assert np.abs(bytes_[0] - expected).max() < 0.6


def test_yuv_pictures_look_as_opencv_converts_them(machine):
    """Where the colours exist in BGR; OpenCV converts before it scales, and rounds between."""
    cv2 = pytest.importorskip("cv2")
    y, x = np.mgrid[:270, :480]
    bgr = np.stack([128 + 60 * np.sin(x / 40), 120 + 50 * np.cos(y / 30), 60 + x / 4], axis=2)
    i420 = cv2.cvtColor(bgr.astype(np.uint8), cv2.COLOR_BGR2YUV_I420)
    luma = i420[:270]
    u, v = (plane.reshape(135, 240).repeat(2, 0).repeat(2, 1) for plane in (i420[270:]
            .reshape(2, -1)))  # fmt: skip
    for pixels, code in (("nv12", cv2.COLOR_YUV2BGR_NV12), ("yuyv", cv2.COLOR_YUV2BGR_YUYV)):
        frame = Frame(machine, (270, 480), pixels, planes=np.dstack([luma, u, v]))
        rows, _ = _packed(np.dstack([luma, u, v]), pixels)
        seen = cv2.cvtColor(rows if pixels == "nv12" else rows.reshape(270, 480, 2), code)
        expected = np.zeros((3, *INPUT), np.float32)
        Letterbox(PIXELS, INPUT)(seen, expected)
        assert np.abs(run(machine, [frame])[0][0] - expected).max() < 1.0


def test_the_planes_of_nv12_may_lie_apart(machine):
    whole, apart = (
        Frame(machine, (54, 96), "nv12", gap=32, separate=separate) for separate in (False, True)
    )
    found = run(machine, [whole])[0]
    assert len(np.unique(found)) > 9
    assert np.array_equal(found, run(machine, [apart])[0])


def test_a_batch_mixes_sizes_and_formats(machine):
    frames = [Frame(machine, size, pixels) for size in SIZES[3:9] for pixels in FORMATS]
    frames += frames[:12]
    assert len(frames) > 32  # more than one launch takes
    found, placements = run(machine, frames, dtype="uint8")
    for frame, image, placement in zip(frames, found, placements, strict=True):
        alone, (expected,) = run(machine, [frame], dtype="uint8")
        assert np.array_equal(image, alone[0])
        assert len(np.unique(image)) > 9
        assert placement == expected


def test_whatever_the_order_of_threads(machine):
    frame = Frame(machine, (211, 460), "nv12")
    results = [run(machine, [frame], order=order)[0] for order in machine.orders]
    assert len(np.unique(results[0])) > 9
    assert all(np.array_equal(result, results[0]) for result in results)


def test_nothing_outside_the_frame_is_read(compiled_kernels):
    """Frames lie against pages that may not be read, in a process of its own."""
    script = Path(__file__).parent / "guarded_frames.py"
    done = subprocess.run(
        [sys.executable, str(script), str(compiled_kernels)], capture_output=True, text=True,
        cwd=Path(emulated_cuda.__file__).parents[1],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100


@pytest.mark.parametrize(
    ("size", "dtype", "words"),
    [((96, 161), "uint8", "multiple of 4"), ((96, 16388), "uint8", "at most 16384"),
     ((96, 160), "int32", "must be float32, float16, int8, uint8")],
)  # fmt: skip
def test_refuses_an_input_that_it_cannot_fill(machine, size, dtype, words):
    with pytest.raises(EdgeError, match=words):
        CudaLetterbox(PIXELS, size, dtype)


@pytest.mark.parametrize("pixels", FORMATS)
def test_refuses_rows_that_overlap(machine, pixels):
    frame = Frame(machine, (4, 9), pixels)
    with pytest.raises(EdgeError, match="the frame says that they lie"):
        run(machine, [Frame(machine, (4, 9), pixels), _with(frame, pitch=frame.frame.pitch - 1)])


@pytest.mark.parametrize(("pixels", "unit"), [("nv12", 2), ("yuyv", 4)])
def test_refuses_colours_at_addresses_that_cannot_be_read(machine, pixels, unit):
    for offset, gap in ((1, 0), (0, 1)):
        with pytest.raises(EdgeError, match=f"multiples of {unit}"):
            run(machine, [Frame(machine, (4, 8), pixels, gap=gap, offset=offset)])


def _with(frame, **changes):
    frame.frame = replace(frame.frame, **changes)
    return frame


def test_the_conversion_of_grey_is_grey():
    for colours in ("bt601", "bt709"):
        black, luma, *_ = conversion(colours, False)
        assert abs((235 * 128 - black) * luma / 2**14 / 128 - 255) < 0.01
