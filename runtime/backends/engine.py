"""What every engine library is to the rest of the runtime."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import EdgeError
from edge_sdk.head_spec import HeadSpec
from edge_sdk.runtime.chain import Chain, HostChain
from edge_sdk.runtime.letterbox import Letterbox
from edge_sdk.runtime.postprocess import Postprocessor

Array = npt.NDArray[Any]

INPUT_TYPES = (np.float32, np.float16, np.int8, np.uint8)


class Worker(Protocol):
    """One caller's place in an engine: buffers of its own, for one thread at a time.

    Attributes
    ----------
    input : [B, 3, H, W] of the engine's input type; write the next batch into it.
    """

    input: Array

    def __call__(self) -> list[npt.NDArray[np.float32]]:
        """Run on `input`; the outputs are valid until the next call of this worker."""


class Engine(ABC):
    """A loaded network. Any number of threads may call it.

    Attributes
    ----------
    target : the name of the library.
    path : the file that it was loaded from.
    spec : the model's contract.
    input_dtype : what the network takes: float32, float16, int8 or uint8.
    batch : images a call, or None where any number will do.
    threads : that one inference may use, or None where the library chooses.
    parallel : inferences that run best at the same time.
    """

    target: str

    def __init__(
        self,
        path: Path,
        spec: HeadSpec,
        input_dtype: np.dtype[Any],
        batch: int | None,
        threads: int | None,
        parallel: int,
    ) -> None:
        if input_dtype.type not in INPUT_TYPES:
            raise EdgeError(f"{path} takes {input_dtype} images: float32 or uint8 is supported.")
        self.path = path
        self.spec = spec
        self.input_dtype = input_dtype
        self.batch = batch
        self.threads = threads
        self.parallel = parallel
        self._idle: list[Worker] = []
        self._lock = threading.Lock()
        self._closed = False

    def __call__(self, batch: Array) -> list[npt.NDArray[np.float32]]:
        """Run a batch [B, 3, H, W] of `input_dtype` and return outputs that the caller owns.

        They come in the order of `spec.output_names`.

        Raises
        ------
        EdgeError
            If the batch has another shape or type, or the engine is closed.
        """
        expected = (self.batch or len(batch), 3, *self.spec.input_size)
        if batch.shape != expected or batch.dtype != self.input_dtype:
            raise EdgeError(
                f"The engine takes {self.input_dtype} {list(expected)}, and was given "
                f"{batch.dtype} {list(batch.shape)}."
            )
        worker = self._take(len(batch))
        try:
            worker.input[...] = batch
            return [output.copy() for output in worker()]
        finally:
            with self._lock:
                if not self._closed:
                    self._idle.append(worker)

    def _take(self, batch: int) -> Worker:
        with self._lock:
            for worker in self._idle:
                if len(worker.input) == batch:
                    self._idle.remove(worker)
                    return worker
        return self.worker(batch)

    def worker(self, batch: int = 1) -> Worker:
        """Return a new worker for batches of this size, warmed up by one inference.

        Raises
        ------
        EdgeError
            If the engine is closed, its batch is another, or the inference fails.
        """
        self.check_batch(batch)
        try:
            return self._worker(batch)
        except EdgeError:
            raise
        except Exception as error:  # the libraries' exceptions share no base class
            raise EdgeError(f"{self.path} fails when it runs: {last_line(error)}") from error

    def check_batch(self, batch: int) -> None:
        """Raise EdgeError if the engine is closed, or does not take batches of this size."""
        if self._closed:
            raise EdgeError(f"The engine of {self.path} is closed.")
        if self.batch not in (None, batch):
            raise EdgeError(f"{self.path} takes batches of {self.batch}, not of {batch}.")

    @abstractmethod
    def _worker(self, batch: int) -> Worker: ...

    def chains(self, spec: HeadSpec, settings: Mapping[str, Any]) -> Callable[[], Chain]:
        """Return what makes chains from frames to detections, one for each thread at a time.

        Parameters
        ----------
        spec : the contract, which may name the classes otherwise than the engine's own.
        settings : arguments of `Postprocessor` beside the contract, `score` among them.

        Raises
        ------
        EdgeError
            If a setting is out of range, or the head cannot be decoded.
        """
        letterbox = Letterbox(spec.preprocessing, spec.input_size)

        @lru_cache(maxsize=8)
        def postprocessor(score: float) -> Postprocessor:
            return Postprocessor(spec, **{**settings, "score": score})

        postprocessor(settings["score"])
        return lambda: HostChain(letterbox, self.worker(), postprocessor)

    def close(self) -> None:
        """Let go of the network; its memory is freed when the last worker is gone."""
        with self._lock:
            self._closed = True
            self._idle.clear()
        self._close()

    @abstractmethod
    def _close(self) -> None: ...


def check_input(path: Path, spec: HeadSpec, shapes: dict[str, list[int | None]]) -> int | None:
    """Compare a network's inputs with its contract and return its batch (None: dynamic).

    `shapes` holds name -> dimensions, None where a dimension is dynamic.

    Raises
    ------
    EdgeError
        If they differ.
    """
    expected = (3, *spec.input_size)
    if set(shapes) != {spec.input_name}:
        raise EdgeError(f"{path} has the inputs {', '.join(shapes)}, not {spec.input_name!r}.")
    shape = shapes[spec.input_name]
    if len(shape) != 4 or any(a not in (None, b) for a, b in zip(shape[1:], expected, strict=True)):
        raise EdgeError(f"{path} takes {shape}, and its head specification says {expected}.")
    return shape[0]


def check_outputs(path: Path, spec: HeadSpec, names: set[str]) -> None:
    """Raise EdgeError if the network lacks an output that its contract names."""
    if missing := [name for name in spec.output_names if name not in names]:
        raise EdgeError(f"{path} has no output {missing[0]!r}, which its head specification names.")


def missing_spec(path: Path) -> EdgeError:
    """Return the error for a file that carries no contract."""
    return EdgeError(
        f"{path} does not say how its outputs are to be read (no edge_sdk.head_spec in its "
        "metadata): make it with 'edge-sdk convert'."
    )


def cannot_load(path: Path, library: str, error: Exception) -> EdgeError:
    """Return the error for a file that the library refused, with the library's first words."""
    return EdgeError(f"{library} cannot load {path}: {last_line(error)}")


def last_line(error: Exception) -> str:
    """Return the part of a library's message that says most: its last line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else repr(error)
