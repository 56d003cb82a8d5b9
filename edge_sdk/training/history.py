"""The log of a training: one JSON object a line, and the curves drawn from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edge_sdk.errors import EdgeError
from edge_sdk.files import replacing, write_text

Row = dict[str, Any]


class History:
    """Rows of numbers, each with the `step` after which it was taken.

    Attributes
    ----------
    rows : losses (`loss` and its parts, `lr`, `seconds`) and accuracies (`map`, `map50`), in the
        order of their steps.
    """

    def __init__(self, folder: Path) -> None:
        self._log = folder / "log.jsonl"
        self._picture = folder / "curves.png"
        self.rows: list[Row] = []

    def resume(self, step: int) -> None:
        """Take over what an earlier run logged up to a step, and forget the rest.

        Raises
        ------
        EdgeError
            If the log is not readable.
        """
        if not self._log.exists():
            return
        try:
            rows = [json.loads(line) for line in self._log.read_text("utf-8").splitlines()]
            self.rows = [row for row in rows if row["step"] <= step]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EdgeError(f"{self._log} is damaged ({error}): delete it to go on.") from error

    def add(self, row: Row) -> None:
        """Append a row; the file is replaced as a whole."""
        self.rows.append(row)
        write_text(self._log, "".join(json.dumps(entry) + "\n" for entry in self.rows))

    def draw(self) -> None:
        """Draw the losses and the accuracy over the steps."""
        from matplotlib.figure import Figure

        losses = [row for row in self.rows if "loss" in row]
        accuracies = [row for row in self.rows if "map" in row]
        figure = Figure(figsize=(9, 7), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True)
        for name in ("loss", "classes", "boxes", "distances"):
            drawn = [(row["step"], row[name]) for row in losses if name in row]
            if drawn:
                upper.plot(*zip(*drawn, strict=True), label=name)
        upper.set(yscale="log", ylabel="training loss")
        upper.yaxis.set_major_formatter("{x:g}")
        upper.yaxis.set_minor_formatter("{x:g}")
        for name, label in (("map", "mAP50-95"), ("map50", "mAP50")):
            steps = [row["step"] for row in accuracies]
            lower.plot(steps, [row[name] for row in accuracies], marker="o", label=label)
        lower.set(ylim=(0, 1), xlabel="step", ylabel="on the validation images")
        for axes in (upper, lower):
            axes.grid(alpha=0.3)
            if axes.has_data():
                axes.legend()
        with replacing(self._picture) as beside:
            figure.savefig(beside, dpi=110)
