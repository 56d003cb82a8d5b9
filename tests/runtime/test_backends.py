from __future__ import annotations

import ctypes
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from tiny import tiny_spec, write_tiny_model

from edge_sdk.errors import EdgeError, MissingExtra
from edge_sdk.runtime import backends
from edge_sdk.runtime.backends import TARGETS, open_engine, preferred_target

onnx = pytest.importorskip("onnx")

SPEC = tiny_spec()


def images(count: int = 1) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(1)
    return rng.random((count, 3, *SPEC.input_size), np.float32)


def reference(model: Path, batch: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
    """What the standard says, in the order of the contract."""
    from onnx.reference import ReferenceEvaluator

    outputs = ReferenceEvaluator(onnx.load(model)).run(list(SPEC.output_names), {"images": batch})
    return [np.asarray(output) for output in outputs]


@pytest.mark.parametrize("target", TARGETS)
def test_float_model_runs_in_float(tiny_model: Path, target: str) -> None:
    """Also on a CPU with bfloat16, which would be off by a hundred times the tolerance."""
    engine = open_engine(tiny_model, target, SPEC, threads=1)
    assert (engine.target, engine.batch, engine.input_dtype) == (target, 1, np.float32)
    batch = images()
    for expected, output in zip(reference(tiny_model, batch), engine(batch), strict=True):
        assert output.dtype == np.float32
        np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("target", TARGETS)
def test_outputs_belong_to_the_caller(tiny_model: Path, target: str) -> None:
    engine = open_engine(tiny_model, target, SPEC, threads=1)
    first = engine(images())
    kept = [output.copy() for output in first]
    engine(np.zeros_like(images()))
    for output, before in zip(first, kept, strict=True):
        np.testing.assert_array_equal(output, before)


@pytest.mark.parametrize("target", TARGETS)
def test_dynamic_batch_takes_any_number(tmp_path: Path, target: str) -> None:
    engine = open_engine(write_tiny_model(tmp_path / "m.onnx", batch="n"), target, SPEC, threads=1)
    assert engine.batch is None
    batch = images(3)
    together = engine(batch)
    for number in (2, 0):
        alone = engine(batch[number : number + 1])
        for a, b in zip(together, alone, strict=True):
            np.testing.assert_allclose(a[number : number + 1], b, rtol=1e-5, atol=1e-5)


def test_openvino_leaves_the_stack_of_signals_as_it_was(tmp_path: Path) -> None:
    """Python's handlers run on it."""

    def stack() -> bytes:
        held = ctypes.create_string_buffer(3 * ctypes.sizeof(ctypes.c_void_p))
        assert ctypes.CDLL(None).sigaltstack(None, held) == 0
        return held.raw

    before = stack()
    engine = open_engine(write_tiny_model(tmp_path / "m.onnx", batch="n"), "openvino", SPEC)
    assert stack() == before
    engine(images(3))
    assert stack() == before


@pytest.mark.parametrize("target", TARGETS)
def test_contract_is_read_from_the_file(tiny_model: Path, target: str) -> None:
    assert open_engine(tiny_model, target, threads=1).spec == SPEC


@pytest.mark.parametrize("target", TARGETS)
def test_file_without_a_contract_is_refused(tiny_model: Path, tmp_path: Path, target: str) -> None:
    model = onnx.load(tiny_model)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "bare.onnx")
    with pytest.raises(EdgeError, match=r"bare\.onnx does not say how its outputs"):
        open_engine(tmp_path / "bare.onnx", target)


def test_openvino_reads_its_own_format(tiny_model: Path, tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    path = tmp_path / "model.xml"
    openvino.save_model(openvino.Core().read_model(tiny_model), path, compress_to_fp16=False)
    for expected, output in zip(
        reference(tiny_model, images()),
        open_engine(path, "openvino", SPEC, 1)(images()),
        strict=True,
    ):
        np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (replace(SPEC, input_name="picture"), "not 'picture'"),
        (replace(SPEC, input_size=(64, 64)), "head specification says"),
        (
            replace(SPEC, outputs={**SPEC.outputs, "classes": ("classes_8", "no", "no")}),
            "no output 'no'",
        ),
    ],
    ids=["input", "size", "output"],
)
def test_contract_of_another_model_is_refused(
    tiny_model: Path, target: str, spec: object, message: str
) -> None:
    with pytest.raises(EdgeError, match=message):
        open_engine(tiny_model, target, spec)  # type: ignore[arg-type]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("keep", [0, 100, -1000])
def test_truncated_model_is_refused(
    tiny_model: Path, tmp_path: Path, target: str, keep: int
) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(tiny_model.read_bytes()[:keep])
    with pytest.raises(EdgeError, match=r"cut\.onnx") as raised:
        open_engine(path, target)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("target", TARGETS)
def test_wrong_batches_are_refused(tiny_model: Path, target: str) -> None:
    engine = open_engine(tiny_model, target, SPEC, threads=1)
    for batch in (images(2), images()[0], images().astype(np.uint8), images()[..., :64]):
        with pytest.raises(EdgeError, match=r"takes float32 \[1, 3, 96, 128\]"):
            engine(batch)


@pytest.mark.parametrize("target", TARGETS)
def test_closed_engine_says_so(tiny_model: Path, target: str) -> None:
    engine = open_engine(tiny_model, target, SPEC, threads=1)
    engine(images())
    engine.close()
    with pytest.raises(EdgeError, match="closed"):
        engine(images())


def test_bad_arguments(tiny_model: Path) -> None:
    for arguments, message in (
        ((tiny_model, "tpu"), "Unknown target 'tpu'"),
        ((tiny_model, "openvino", SPEC, 0), "threads is 0"),
        ((tiny_model.with_name("none.onnx"), "openvino"), "no model at"),
    ):
        with pytest.raises(EdgeError, match=message):
            open_engine(*arguments)  # type: ignore[arg-type]


def test_missing_package_names_the_extra(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "installed", lambda target: False)
    with pytest.raises(MissingExtra, match=r"edge-sdk\[openvino\]"):
        open_engine(tiny_model, "openvino")
    with pytest.raises(MissingExtra, match=r"edge-sdk\[onnxruntime\]"):
        preferred_target(("onnxruntime",))


@pytest.mark.parametrize(
    ("machine", "installed", "available", "chosen"),
    [
        ("x86_64", {"openvino", "onnxruntime"}, TARGETS, "openvino"),
        ("x86_64", {"onnxruntime"}, TARGETS, "onnxruntime"),
        ("x86_64", {"openvino", "onnxruntime"}, ("onnxruntime", "tensorrt"), "onnxruntime"),
        ("aarch64", {"openvino", "onnxruntime"}, TARGETS, "onnxruntime"),
    ],
)
def test_best_installed_target(
    monkeypatch: pytest.MonkeyPatch,
    machine: str,
    installed: set[str],
    available: tuple[str, ...],
    chosen: str,
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr(backends, "installed", installed.__contains__)
    assert preferred_target(available) == chosen


def test_bundle_for_another_machine() -> None:
    with pytest.raises(EdgeError, match="No engine for this machine: the bundle has tensorrt"):
        preferred_target(("tensorrt",))
