"""The float and the INT8 engine of one model, built and timed against each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_sdk.head_spec import HeadSpec

if TYPE_CHECKING:
    import onnx

    from edge_sdk.evaluation.timing import Timing

WORTHWHILE = 1.02
"""INT8 is shipped if it is at least so many times as fast as float."""
_REPETITIONS = 15


@dataclass
class EngineTrial:
    """Candidates for one target, in a folder each.

    Attributes
    ----------
    target : the engine library.
    folder : where the candidates are written.
    engines : precision -> the file to open.
    times : precision -> milliseconds of one inference.
    """

    target: str
    folder: Path
    engines: dict[str, Path] = field(default_factory=dict)
    times: dict[str, Timing] = field(default_factory=dict)

    def add(self, precision: str, graph: onnx.ModelProto) -> None:
        """Build the engine of one candidate."""
        from edge_sdk.converters.engines import write_engine

        folder = self.folder / precision
        folder.mkdir()
        self.engines[precision] = write_engine(self.target, graph, folder)

    def time(self, spec: HeadSpec) -> None:
        """Run all candidates in turn for a moment."""
        import numpy as np

        from edge_sdk.evaluation.timing import interleaved
        from edge_sdk.runtime.backends import open_engine

        opened = {
            precision: open_engine(path, self.target, spec)
            for precision, path in self.engines.items()
        }
        try:
            workers = {precision: engine.worker() for precision, engine in opened.items()}
            rng = np.random.default_rng(0)
            image = rng.uniform(0, 255 * spec.preprocessing.scale, (1, 3, *spec.input_size))
            for worker in workers.values():
                worker.input[...] = image
            self.times = interleaved(workers, repetitions=_REPETITIONS)
        finally:
            for engine in opened.values():
                engine.close()

    @property
    def speedup(self) -> float | None:
        """How many times as fast INT8 is, None if it was not timed."""
        if not {"float", "int8"} <= set(self.times):
            return None
        return self.times["float"].median / self.times["int8"].median

    def files(self, precision: str) -> dict[str, Path | bytes | str]:
        """Return the files of a candidate by their names in the bundle."""
        folder = self.engines[precision].parent
        return {self.name(path): path for path in sorted(folder.iterdir())}

    def name(self, path: Path) -> str:
        """Return the name in the bundle of a candidate's file."""
        return f"engines/{self.target}/{path.name}"

    def measured(self) -> dict[str, Any]:
        """Return the timing and its conditions as plain values."""
        from edge_sdk.evaluation.conditions import conditions

        if not self.times:
            return {}
        return {
            "inference_ms": {name: timing._asdict() for name, timing in self.times.items()},
            "speedup": self.speedup,
            "conditions": conditions(),
        }
