"""Engines of one model in several precisions, built and timed against each other."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_sdk.errors import EdgeError
from edge_sdk.head_spec import HeadSpec

if TYPE_CHECKING:
    import onnx

    from edge_sdk.evaluation.timing import Timing
    from edge_sdk.runtime.backends import Engine

WORTHWHILE = 1.02
"""INT8 is shipped if it is at least so many times as fast as float."""


@dataclass
class EngineTrial:
    """Candidates for one target, in a folder each.

    Attributes
    ----------
    target : the engine library.
    folder : where the candidates are written.
    threads : that one inference may use; None leaves the choice to the library.
    engines : candidate, e.g. "float" or "int8" -> the file to open.
    times : candidate -> milliseconds of one inference.
    """

    target: str
    folder: Path
    threads: int | None = None
    engines: dict[str, Path] = field(default_factory=dict)
    times: dict[str, Timing] = field(default_factory=dict)

    def add(self, name: str, graph: onnx.ModelProto) -> None:
        """Build the engine of one candidate."""
        from edge_sdk.converters.engines import write_engine

        folder = self.folder / name
        folder.mkdir()
        try:
            self.engines[name] = write_engine(self.target, graph, folder)
        except EdgeError:
            shutil.rmtree(folder)
            raise

    def drop(self, name: str) -> None:
        """Forget a candidate and remove its files."""
        shutil.rmtree(self.engines.pop(name).parent)

    def open(self, name: str, spec: HeadSpec) -> Engine:
        """Load a candidate's engine."""
        from edge_sdk.runtime.backends import open_engine

        return open_engine(self.engines[name], self.target, spec, self.threads)

    def time(self, spec: HeadSpec, names: Iterable[str] | None = None) -> None:
        """Run the named candidates, or all, in turn for a moment."""
        import numpy as np

        from edge_sdk.evaluation.timing import SETTLE, interleaved

        opened = {name: self.open(name, spec) for name in names or self.engines}
        try:
            workers = {name: engine.worker() for name, engine in opened.items()}
            rng = np.random.default_rng(0)
            image = rng.uniform(0, 255, (1, 3, *spec.input_size))
            for worker in workers.values():
                in_bytes = worker.input.dtype == np.uint8
                worker.input[...] = image * (1.0 if in_bytes else spec.preprocessing.scale)
            clock = time.process_time if self.clock == "cpu" else time.perf_counter
            repetitions, settling = (15, 0.0) if self._on_cpu else (100, SETTLE)
            self.times.update(
                interleaved(workers, repetitions=repetitions, settling=settling, clock=clock)
            )
        finally:
            for engine in opened.values():
                engine.close()

    @property
    def clock(self) -> str:
        """What times are taken by: "cpu" where one thread of it does all the work, else "wall".

        The clock of the process stands still while other programs have the processor, so one
        thread is timed well on a busy machine, too; on a quiet one both clocks agree.
        """
        return "cpu" if self.threads == 1 and self._on_cpu else "wall"

    @property
    def _on_cpu(self) -> bool:
        from edge_sdk.converters.target import Target

        return Target.parse(self.target).on_cpu

    @property
    def speedup(self) -> float | None:
        """How many times as fast INT8 is, None if it was not timed."""
        if not {"float", "int8"} <= set(self.times):
            return None
        return self.times["float"].median / self.times["int8"].median

    def files(self, name: str) -> dict[str, Path | bytes | str]:
        """Return the files of a candidate by their names in the bundle."""
        folder = self.engines[name].parent
        return {self.name(path): path for path in sorted(folder.iterdir())}

    def name(self, path: Path) -> str:
        """Return the name in the bundle of a candidate's file."""
        from edge_sdk.converters.target import Target

        return f"engines/{Target.parse(self.target).folder}/{path.name}"

    def measured(self) -> dict[str, Any]:
        """Return the timing and its conditions as plain values, or why there is none."""
        from edge_sdk.converters.target import Target
        from edge_sdk.evaluation.conditions import conditions

        if not self.times and Target.parse(self.target).on_cpu:
            return {}
        if not self.times:
            return {"untimed": f"engines for {self.target} were not run where they were built"}
        return {
            "inference_ms": {name: timing._asdict() for name, timing in self.times.items()},
            "speedup": self.speedup,
            "conditions": {**conditions(self.threads), "clock": self.clock},
        }
