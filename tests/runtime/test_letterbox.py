"""The letterbox against OpenCV, and every instruction set against the portable one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from edge_sdk.errors import EdgeError
from edge_sdk.head_spec import Preprocessing
from edge_sdk.runtime.kernels import instruction_set, instruction_sets, set_instruction_set
from edge_sdk.runtime.letterbox import Letterbox, Placement

cv2 = pytest.importorskip("cv2")

INPUT = (96, 128)
SIZES = [(1, 1), (1, 9), (7, 1), (2, 2), (33, 57), (96, 128), (97, 131), (144, 256), (211, 460),
         (500, 333), (720, 1280)]  # fmt: skip
DTYPES = ["float32", "float16", "int8", "uint8"]


@pytest.fixture(autouse=True)
def _best_instruction_set():
    yield
    set_instruction_set(None)


def random_frame(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def by_opencv(frame, wants: Preprocessing, size=INPUT) -> np.ndarray:
    """The usual chain, in units of pixel values: float32 [3, H, W]."""
    height, width = frame.shape[:2]
    scale = min((size[0] - wants.margin) / height, (size[1] - wants.margin) / width)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    resized = cv2.resize(frame, (columns, rows), interpolation=cv2.INTER_LINEAR)
    top = (size[0] - rows) // 2 if wants.placement == "center" else 0
    left = (size[1] - columns) // 2 if wants.placement == "center" else 0
    padded = cv2.copyMakeBorder(
        resized, top, size[0] - rows - top, left, size[1] - columns - left,
        cv2.BORDER_CONSTANT, value=(wants.pad_value,) * 3,
    )  # fmt: skip
    if wants.channel_order == "rgb":
        padded = cv2.cvtColor(padded, cv2.COLOR_BGR2RGB)
    return padded.transpose(2, 0, 1).astype(np.float32)


def run(frame, wants=Preprocessing(), dtype="float32", size=INPUT) -> np.ndarray:  # noqa: B008
    out = np.empty((3, *size), dtype)
    Letterbox(wants, size)(frame, out)
    return out


def in_pixel_values(out: np.ndarray, wants: Preprocessing) -> np.ndarray:
    if out.dtype.kind == "f":
        return out.astype(np.float32) / np.float32(wants.scale)
    return out.astype(np.float32) + (128 if out.dtype == np.int8 else 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_agrees_with_opencv(size, dtype):
    frame, wants = random_frame(size), Preprocessing()
    found = in_pixel_values(run(frame, wants, dtype), wants)
    assert np.abs(found - by_opencv(frame, wants)).max() <= 1.0


@pytest.mark.parametrize(
    "wants",
    [
        Preprocessing(channel_order="bgr", scale=1.0, placement="top_left"),
        Preprocessing(margin=4, pad_value=0),
        Preprocessing(channel_order="bgr", pad_value=255, scale=2.0, margin=31),
    ],
)
@pytest.mark.parametrize("size", [(33, 57), (211, 460), (500, 333)])
def test_follows_the_preprocessing(size, wants):
    frame = random_frame(size)
    assert np.abs(in_pixel_values(run(frame, wants), wants) - by_opencv(frame, wants)).max() <= 1.0


@pytest.mark.parametrize("size", [(96, 128), (100, 37), (720, 1280)])
def test_a_plain_frame_stays_exactly_plain(size):
    frame = np.full((*size, 3), (10, 20, 255), np.uint8)
    out = run(frame, Preprocessing(pad_value=7), "uint8")
    for plane, value in zip(out, (255, 20, 10), strict=True):
        assert set(np.unique(plane)) <= {value, 7}


def test_int8_is_uint8_less_128():
    frame = random_frame((77, 200))
    assert np.array_equal(run(frame, dtype="int8"), (run(frame, dtype="uint8") - 128).view(np.int8))


def test_float16_is_float32_rounded():
    for scale in (1 / 255, 1.0, 1e-7, 400.0):
        wants = Preprocessing(scale=scale)
        frame = random_frame((77, 200))
        with np.errstate(over="ignore"):
            expected = run(frame, wants).astype(np.float16)
        for name in instruction_sets():
            set_instruction_set(name)
            assert np.array_equal(run(frame, wants, "float16"), expected), (name, scale)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_all_instruction_sets_give_the_same_bits(size, dtype):
    frame = random_frame(size)
    results = {}
    for name in instruction_sets():
        set_instruction_set(name)
        assert instruction_set() == name
        results[name] = run(frame, Preprocessing(margin=3), dtype).tobytes()
    assert len(set(results.values())) == 1


def test_there_is_more_than_the_portable_set_where_the_machine_has_one():
    import platform

    if platform.machine() in ("aarch64", "arm64"):
        assert instruction_sets() == ("neon", "portable")
    elif "avx2" in Path("/proc/cpuinfo").read_text():
        assert "avx2" in instruction_sets()
        assert instruction_set() != "portable"


@pytest.mark.parametrize(
    "view",
    [
        lambda f: f[20:180, 31:301],
        lambda f: f[::-1],
        lambda f: f[::3, 5:250],
        lambda f: f[:, ::-1],
        lambda f: f[..., ::-1],
        lambda f: f.transpose(1, 0, 2),
        lambda f: np.broadcast_to(f[7], (90, *f.shape[1:])),
    ],
    ids=["crop", "flipped rows", "rows left out", "mirrored", "rgb", "transposed", "one row"],
)
def test_views_give_what_their_copies_give(view):
    frame = random_frame((200, 340))
    frame.flags.writeable = False
    assert np.array_equal(run(view(frame)), run(np.ascontiguousarray(view(frame))))


def test_the_last_row_is_not_read_past_its_end():
    """A frame at the very end of a page, before one that cannot be read."""
    import ctypes
    import mmap

    for name in instruction_sets():
        set_instruction_set(name)
        for size in ((40, 100), (3, 2), (50, 333)):
            count = size[0] * size[1] * 3
            length = -(-count // mmap.PAGESIZE) * mmap.PAGESIZE
            memory = mmap.mmap(-1, length + mmap.PAGESIZE)
            buffer = (ctypes.c_char * len(memory)).from_buffer(memory)
            guard = ctypes.addressof(buffer) + length
            protect = ctypes.CDLL(None).mprotect
            assert protect(ctypes.c_void_p(guard), mmap.PAGESIZE, 0) == 0  # not to be read
            frame = np.frombuffer(memory, np.uint8, count, length - count).reshape(*size, 3)
            frame[:] = random_frame(size)
            assert np.array_equal(run(frame), run(frame.copy()))
            assert np.array_equal(run(frame[::-1]), run(frame[::-1].copy()))
            protect(ctypes.c_void_p(guard), mmap.PAGESIZE, 3)


def test_frames_of_changing_sizes_through_one_letterbox():
    letterbox, out = Letterbox(Preprocessing(), INPUT), np.empty((3, *INPUT), np.float32)
    for size in (*SIZES, *reversed(SIZES)):
        frame = random_frame(size)
        letterbox(frame, out)
        assert np.array_equal(out, run(frame))


def test_threads_share_a_letterbox():
    letterbox = Letterbox(Preprocessing(), INPUT)
    frames = [random_frame((60 + 10 * i, 200 - 7 * i), i) for i in range(8)]
    expected = [run(frame) for frame in frames]

    def work(i: int) -> bool:
        out = np.empty((3, *INPUT), np.float32)
        letterbox(frames[i % 8], out)
        return np.array_equal(out, expected[i % 8])

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(200)))


def test_placement_leads_back_to_the_frame():
    letterbox = Letterbox(Preprocessing(margin=4), (640, 640))
    placement = letterbox.placement((720, 1280))
    assert placement == Placement(scale=636 / 1280, left=2, top=141)
    corner = [[2, 141, 2 + 636, 141 + 720 * 636 / 1280]]
    frame_box = placement.to_frame(np.array(corner, np.float32))
    assert np.allclose(frame_box, [[0, 0, 1280, 720]], atol=1e-3)
    out = np.empty((3, 640, 640), np.float32)
    assert letterbox(random_frame((720, 1280)), out) == placement


def test_very_long_frames_keep_a_pixel():
    frame = random_frame((1, 1000))
    assert in_pixel_values(run(frame), Preprocessing())[:, 47].std() > 0


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (np.zeros((0, 10, 3), np.uint8), "non-empty"),
        (np.zeros((10, 0, 3), np.uint8), "non-empty"),
        (np.zeros((10, 10), np.uint8), "height, width, 3"),
        (np.zeros((10, 10, 4), np.uint8), "height, width, 3"),
        (np.zeros((10, 10, 3), np.float32), "uint8"),
        (np.broadcast_to(np.zeros(3, np.uint8), (1, 70000, 3)), "65535"),
    ],
)
def test_bad_frames_are_told(frame, message):
    with pytest.raises(EdgeError, match=message):
        run(frame)


@pytest.mark.parametrize(
    "out",
    [
        np.empty((3, 96, 127), np.float32),
        np.empty((96, 128, 3), np.float32),
        np.empty((3, 96, 128), np.float64),
        np.empty((3, 96, 256), np.float32)[..., ::2],
        np.broadcast_to(np.float32(0), (3, 96, 128)),
    ],
)
def test_bad_outputs_are_told(out):
    with pytest.raises(EdgeError, match="network's input must be"):
        Letterbox(Preprocessing(), INPUT)(random_frame((10, 10)), out)


@pytest.mark.parametrize(
    ("wants", "size"),
    [
        (Preprocessing(margin=96), INPUT),
        (Preprocessing(margin=-1), INPUT),
        (Preprocessing(pad_value=256), INPUT),
        (Preprocessing(), (0, 128)),
        (Preprocessing(), (96, 1 << 20)),
    ],
)
def test_bad_preprocessings_are_told(wants, size):
    with pytest.raises(EdgeError):
        Letterbox(wants, size)


def test_an_unknown_instruction_set_is_told():
    before = instruction_set()
    with pytest.raises(EdgeError, match="sse9"):
        set_instruction_set("sse9")
    assert instruction_set() == before
