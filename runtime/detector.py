"""From a frame to its detections."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from edge_sdk.bundle import Bundle
from edge_sdk.detections import Detections
from edge_sdk.errors import EdgeError
from edge_sdk.head_spec import HeadSpec
from edge_sdk.runtime.backends import Engine, choose_target, open_engine, preferred_target
from edge_sdk.runtime.chain import Chain, StageTimes
from edge_sdk.suppression import RUNNING

__all__ = ["Detector", "StageTimes"]


class Detector:
    """An engine with everything around it: a frame in, `Detections` out.

    Any number of threads may call one detector; they share its engine, and each call has
    buffers of its own, kept for later calls. `close` waits for calls under way. A process that is
    forked opens its own.

    Parameters
    ----------
    path : a bundle (`NAME.edge` or `NAME.edge.zip`), or a float `.onnx` file that
        `edge-sdk convert` wrote.
    target : the engine to use; None takes the best one that runs here. "tensorrt-rtx" stands for
        the bundle's engine of this GPU's kind.
    threads : that one inference may use; None leaves the choice to the engine.
    score : the lowest score of a detection, 0..1.
    iou : the overlap above which the lower of two boxes is dropped, 0..1.
    class_agnostic : let boxes of different classes suppress each other.
    multi_label : let one anchor report several classes.
    max_candidates, max_detections : the most boxes before and after suppression. What is None
        of these six is taken from the bundle's manifest, or is `edge_sdk.suppression.RUNNING`.
    parallel : inferences that are to run at the same time, each with `threads`. Two of one
        thread give more frames a second than one of two, each a little later. None takes one on
        a CPU; on a GPU two, so that one frame is copied while another is computed.
    device : the GPU, as CUDA counts them, for the targets that run on one.

    Raises
    ------
    EdgeError
        If the file cannot be used, or has no engine for the target.
    MissingExtra
        If the target's package is not installed.

    Examples
    --------
    >>> with Detector("street.edge") as detector:  # doctest: +SKIP
    ...     for box, score, class_id, name in detector(frame):
    ...         print(name, score, box)
    """

    def __init__(
        self, path: Path | str, *, target: str | None = None, threads: int | None = None,
        score: float | None = None, iou: float | None = None, class_agnostic: bool | None = None,
        multi_label: bool | None = None, max_candidates: int | None = None,
        max_detections: int | None = None, parallel: int | None = None, device: int = 0,
    ) -> None:  # fmt: skip
        asked = {
            "score": score, "iou": iou, "class_agnostic": class_agnostic,
            "multi_label": multi_label, "max_candidates": max_candidates,
            "max_detections": max_detections,
        }  # fmt: skip
        settings = {name: value for name, value in asked.items() if value is not None}
        if Path(path).suffix == ".onnx":
            engine = open_engine(
                path, target or preferred_target(), None, threads, parallel, device
            )
            self._set_up(engine, engine.spec, settings)
            return
        bundle = Bundle.open(path)
        try:
            target = choose_target(target, bundle.targets, device)
            engine = open_engine(
                bundle.engine_file(target), target, bundle.head_spec, threads, parallel, device
            )
            settings = {**bundle.manifest.get("suppression", {}), **settings}
            self._set_up(engine, engine.spec, settings, bundle)
        except BaseException:
            bundle.close()
            raise

    @classmethod
    def from_engine(cls, engine: Engine, spec: HeadSpec, **settings: Any) -> Detector:
        """Return a detector around an open engine, which it closes with itself.

        `settings` are those of `Detector` from `score` on.
        """
        detector = cls.__new__(cls)
        detector._set_up(engine, spec, settings)
        return detector

    def _set_up(
        self, engine: Engine, spec: HeadSpec, settings: dict[str, Any], bundle: Bundle | None = None
    ) -> None:
        self.engine = engine
        self.spec = spec
        self._bundle = bundle
        self._calm = threading.Condition()
        self._busy = 0
        self._closed = False
        self._process = os.getpid()
        try:
            self._settings = {**RUNNING, **settings}
            self._new_chain = engine.chains(spec, self._settings)
            self._idle = [self._new_chain()]
        except BaseException:
            engine.close()
            raise

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.spec.class_names

    @property
    def score(self) -> float:
        """The lowest score of a detection, 0..1."""
        return float(self._settings["score"])

    @property
    def target(self) -> str:
        """The target whose engine runs."""
        return self.engine.target

    @property
    def parallel(self) -> int:
        """Inferences that run best at the same time."""
        return self.engine.parallel

    def __call__(self, frame: Any) -> Detections:
        """Detect objects on a frame.

        Parameters
        ----------
        frame : BGR uint8 [H, W, 3]: an array, or anything that `numpy.asarray` takes without
            a copy. Rows may be strided. Where the engine runs on a GPU, also what lies there:
            see `edge_sdk.runtime.cuda.DeviceFrame`.

        Raises
        ------
        EdgeError
            If the frame has another shape or type, or the detector is closed, or was opened by the
            process that this one was forked from.
        """
        return self.timed(frame)[0]

    def timed(self, frame: Any, score: float | None = None) -> tuple[Detections, StageTimes]:
        """Detect as in a plain call, and tell how long each stage took.

        `score` takes the place of the detector's own for this call.
        """
        with self._chain() as chain:
            return chain(frame, self.score if score is None else score)

    @contextmanager
    def _chain(self) -> Iterator[Chain]:
        """Lend a chain that nobody uses, a new one if need be."""
        if os.getpid() != self._process:  # engines wait for threads that a fork leaves behind
            raise EdgeError(
                "This Detector was opened before its process was forked, which no engine survives: "
                "open one in the child, or start that with multiprocessing's 'spawn'."
            )
        with self._calm:
            if self._closed:
                raise EdgeError("This Detector is closed: open another.")
            self._busy += 1
            chain = self._idle.pop() if self._idle else None
        try:
            chain = chain or self._new_chain()
            yield chain
        finally:
            with self._calm:
                self._busy -= 1
                if chain is not None:
                    self._idle.append(chain)
                self._calm.notify_all()

    def close(self) -> None:
        """Wait for the calls under way, then let go of the engine; a second time does nothing."""
        with self._calm:
            self._closed = True
            self._calm.wait_for(lambda: self._busy == 0)
            self._idle.clear()
        self.engine.close()
        if self._bundle is not None:
            self._bundle.close()

    def __enter__(self) -> Detector:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
